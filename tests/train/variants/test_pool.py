"""Pooled embeddings: what is averaged, what stays, and that nothing is left behind."""

import torch
from support.helpers import SPECS, perturbed

from growbench import families
from growbench.plan import lengths
from growbench.train.objective import MaskedLM
from growbench.train.variants import pool

BERT = families.load("bert")


def test_means_of_windows_between_the_first_and_the_predicted_tokens() -> None:
    model = perturbed(BERT, SPECS["bert"])
    ids = torch.arange(5, 5 + 12).view(1, 12)
    places = torch.tensor([[3, 7]])
    whole = model.bert.embeddings(ids)
    with pool.pooled(model, "bert.embeddings", 4, places):
        short = model.bert.embeddings(ids)
    means = [whole[:, 1:5].mean(1), whole[:, 5:9].mean(1), whole[:, 9:12].mean(1)]
    assert torch.allclose(short, torch.stack([whole[:, 0], *means, whole[:, 3], whole[:, 7]], 1))
    assert short.shape[1] == lengths.pooled(12, 4, 2)
    assert torch.equal(model.bert.embeddings(ids), whole)


def test_every_position_learns_and_predictions_belong_to_their_labels() -> None:
    model = perturbed(BERT, SPECS["bert"], dtype=torch.float32)
    objective = MaskedLM(0.3, 4, 53)
    batch = objective.batch(torch.randint(5, 53, (2, 12)), seed=0, step=0)
    pool.loss(BERT, model, "bert.embeddings", batch, 2).backward()
    positions = model.bert.embeddings.position_embeddings.weight.grad
    assert bool((positions[:12].abs().amax(1) > 0).all()) and positions[12:].abs().max() == 0
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    for _ in range(60):
        optimizer.zero_grad()
        value = pool.loss(BERT, model, "bert.embeddings", batch, 2)
        value.backward()
        optimizer.step()
    assert float(value.detach()) < 0.1

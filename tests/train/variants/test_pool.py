"""Pooled embeddings: what is averaged, what stays, and that nothing is left behind."""

import pytest
import torch
from support.helpers import PRICES, SPECS, perturbed

from growbench import families
from growbench.errors import GrowBenchError
from growbench.methods import load
from growbench.plan import lengths
from growbench.spec import ModelSpec
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


TARGET = ModelSpec(family="bert", layers=4, hidden=32, heads=4, ffn=128, vocab=50, max_length=32)


def test_a_compound_plan_grows_all_dimensions_at_once_and_single_ones_by_option() -> None:
    method = load("compoundgrow")
    first, last = method.plan(TARGET, TARGET, method.check_options({}), PRICES).stages
    assert (first.spec.layers, first.spec.ffn, first.pool, last.enter) == (2, 64, 2, "grow")
    cheap = 0.7 * 2 * (64 + 64) / 2
    assert first.until == pytest.approx(cheap / (cheap + 0.3 * 4 * (64 + 128)))
    single = method.check_options({"stages": [[0.5, 1, 1, 4], [0.5, 1, 1, 1]]})
    first, last = method.plan(TARGET, TARGET, single, PRICES).stages
    assert first.spec == last.spec == TARGET and last.enter == "keep" and first.until == pytest.approx(0.2)


@pytest.mark.parametrize(
    "stages", [[], [[1.0, 2, 1, 1]], [[0.5, 1, 1, 1]], [[0.5, 0, 1, 1], [0.5, 1, 1, 1]], [3], [[1, 1]]]
)
def test_a_compound_plan_that_cannot_be_is_refused(stages) -> None:
    method = load("compoundgrow")
    with pytest.raises(GrowBenchError, match=r"methods\.compoundgrow\.stages: .*; "):
        method.plan(TARGET, TARGET, method.check_options({"stages": stages}), PRICES)

"""The nats of sentences: those of transformers' own loss, and a masked model's word by word, from left to right."""

import numpy as np
import pytest
import torch
from support import helpers

from growbench import families
from growbench.pipeline.zeroshot import likelihood
from growbench.pipeline.zeroshot.sentences import Scorer, Sentence, Special
from growbench.train.device import CPU

CAUSAL = [name for name in families.names() if families.load(name).objective == "clm"]
MASKED = [name for name in families.names() if families.load(name).objective == "mlm"]
SPECIAL = Special(cls=2, sep=3, mask=None)


def drawn(vocab: int, *lengths: int) -> list[Sentence]:
    rng = np.random.default_rng(0)
    return [Sentence(tuple(rng.integers(5, vocab, n).tolist()), tuple(np.arange(n) // 2)) for n in lengths]


@pytest.mark.parametrize("name", CAUSAL)
@pytest.mark.parametrize("batch", [1, 64])
def test_a_causal_model_s_nats_are_its_stock_loss_after_what_begins_a_sequence_and_a_document(
    name: str, batch: int
) -> None:
    family, spec = families.load(name), helpers.SPECS[name]
    model = helpers.perturbed(family, spec, dtype=torch.float32)
    given = drawn(spec.vocab, 5, 9, 5, 3)
    found = Scorer(family, SPECIAL, CPU, length=12, batch=batch).nats(model, given)
    with torch.no_grad():
        rows = [torch.tensor([[SPECIAL.cls, SPECIAL.sep, *sentence.ids]]) for sentence in given]
        labels = [torch.where(row == SPECIAL.sep, -100, row) for row in rows]
        wanted = [
            float(model(input_ids=row, labels=own).loss) * (row.shape[1] - 2)
            for row, own in zip(rows, labels, strict=True)
        ]
    assert found == pytest.approx(wanted, rel=1e-4)


@pytest.mark.parametrize("name", MASKED)
@pytest.mark.parametrize("batch", [1, 64])
def test_a_masked_model_predicts_each_token_without_itself_and_the_rest_of_its_word(name: str, batch: int) -> None:
    family, spec = families.load(name), helpers.SPECS[name]
    model = helpers.perturbed(family, spec, dtype=torch.float32)
    special, given = Special(cls=2, sep=3, mask=4), drawn(spec.vocab, 4, 7, 4)
    found = Scorer(family, special, CPU, length=12, batch=batch).nats(model, given)
    wanted = []
    for sentence in given:
        nats = 0.0
        for place, token in enumerate(sentence.ids):
            row = list(sentence.ids)
            for later in range(place, len(row)):
                if sentence.words[later] == sentence.words[place]:
                    row[later] = 4
            with torch.no_grad():
                logits = model(input_ids=torch.tensor([[2, *row, 3]])).logits[0, place + 1]
            nats -= float(logits.log_softmax(-1)[token])
        wanted.append(nats)
    assert found == pytest.approx(wanted, rel=1e-4)


def test_logits_are_never_held_for_more_than_a_slice(monkeypatch: pytest.MonkeyPatch) -> None:
    family, spec = families.load("gpt2"), helpers.SPECS["gpt2"]
    model = helpers.perturbed(family, spec, dtype=torch.float32)
    given, scorer = drawn(spec.vocab, 8, 8, 8, 3), Scorer(family, SPECIAL, CPU, 12, 64)
    whole = scorer.nats(model, given)
    monkeypatch.setattr(likelihood, "ROWS", 5)
    assert scorer.nats(model, given) == pytest.approx(whole, rel=1e-6)

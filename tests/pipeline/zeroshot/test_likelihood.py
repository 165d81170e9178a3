"""The likelihood of text: every token is scored once, with known probabilities and as transformers computes it."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from support import helpers
from support.testsets import Table, certain

from growbench import families
from growbench.pipeline.zeroshot import likelihood
from growbench.pipeline.zeroshot.likelihood import ScoredWindow, score, windows
from growbench.train.data import PackedSequences
from growbench.train.device import CPU

CAUSAL = [name for name in families.names() if families.load(name).objective == "clm"]


@given(st.integers(1, 80), st.integers(3, 20), st.data())
def test_every_token_is_scored_once_with_the_stated_context(total: int, length: int, data: st.DataObject) -> None:
    stride = data.draw(st.integers(1, length - 2))
    ids = np.arange(total + 1)
    cut = windows(ids, length, stride, -7)
    assert np.concatenate([w.ids[len(w.ids) - w.scored :] for w in cut]).tolist() == list(range(1, total + 1))
    assert all(len(w.ids) <= length and w.ids[0] == -7 for w in cut), "a sequence as in training"
    assert all((np.diff(w.ids[1:]) == 1).all() for w in cut)
    assert all(len(w.ids) - w.scored >= length - stride for w in cut[1:])
    assert all(w.scored == stride for w in cut[1:-1])


def test_the_first_window_of_a_text_is_the_sequence_that_training_reads() -> None:
    ids = np.random.default_rng(0).integers(5, 50, 100)
    trained = PackedSequences(ids, 16, cls_id=2, seed=0).fetch([0])[0]
    assert windows(ids, 16, 4, 2)[0].ids.tolist() == trained.tolist()


@pytest.mark.parametrize("stride", [1, 3, 8])
@pytest.mark.parametrize("batch", [1, 4])
def test_known_probabilities_give_their_perplexity_whatever_the_stride(stride: int, batch: int) -> None:
    rng = np.random.default_rng(0)
    table = torch.from_numpy(rng.normal(size=(7, 7))).log_softmax(-1)
    ids = rng.integers(0, 7, 50)
    parts = score(Table(), table, windows(ids, 10, stride, 0), batch, CPU)  # type: ignore[arg-type]
    wanted = -table.numpy()[ids[:-1], ids[1:]]
    assert np.concatenate([p.nats for p in parts]) == pytest.approx(wanted, abs=1e-5)
    right = table.numpy().argmax(-1)[ids[:-1]] == ids[1:]
    assert np.concatenate([p.right for p in parts]).tolist() == right.tolist()


@pytest.mark.parametrize("name", CAUSAL)
def test_a_family_s_nats_are_its_stock_loss(name: str) -> None:
    """One window: the loss that transformers computes from labels; and padding beside a longer row changes nothing."""
    family, spec = families.load(name), helpers.SPECS[name]
    model = helpers.perturbed(family, spec, dtype=torch.float32)
    ids = helpers.token_ids(spec)[:, :11]
    cut = [ScoredWindow(row.numpy(), 10) for row in ids]
    parts = score(family, model, cut, 2, CPU)
    with torch.no_grad():
        wanted = [float(model(input_ids=row[None], labels=row[None]).loss) for row in ids]
    assert [p.nats.mean() for p in parts] == pytest.approx(wanted, rel=1e-4)
    mixed = score(family, model, [cut[0], ScoredWindow(ids[1, :5].numpy(), 2), cut[2]], 3, CPU)
    assert mixed[0].nats == pytest.approx(parts[0].nats, rel=1e-4)
    assert mixed[1].nats == pytest.approx(parts[1].nats[2:4], rel=1e-4)


def test_more_context_than_a_window_is_never_read() -> None:
    """A causal model scored at stride 1 gives each token what it gives at the end of a full window of its own, after [CLS]."""
    family, spec = families.load("gpt2"), helpers.SPECS["gpt2"]
    model = helpers.perturbed(family, spec, dtype=torch.float32)
    ids = np.random.default_rng(1).integers(0, spec.vocab, 20)
    parts = score(family, model, windows(ids, 7, 1, 2), 4, CPU)
    full = [ScoredWindow(np.array([2, *ids[i - 5 : i + 1]]), 1) for i in range(6, 20)]
    alone = [score(family, model, [window], 1, CPU)[0].nats[0] for window in full]
    assert [p.nats[0] for p in parts[1:]] == pytest.approx(alone, rel=1e-4)


@pytest.mark.parametrize("name", CAUSAL)
def test_right_is_what_greedy_decoding_writes(name: str) -> None:
    family, spec = families.load(name), helpers.SPECS[name]
    model = helpers.perturbed(family, spec, dtype=torch.float32)
    given = helpers.token_ids(spec)[:1, :7]
    written = model.generate(  # type: ignore[operator]
        given,
        attention_mask=torch.ones_like(given),
        do_sample=False,
        min_new_tokens=3,
        max_new_tokens=3,
        eos_token_id=None,
    )[0].numpy()
    assert score(family, model, [ScoredWindow(written, 3)], 1, CPU)[0].right.all()
    for place in (7, 9):
        other = written.copy()
        other[place] = (other[place] + 1) % spec.vocab
        right = score(family, model, [ScoredWindow(other, 3)], 1, CPU)[0].right
        assert not right[place - 7] and right[: place - 7].all()


def test_logits_are_never_held_for_more_than_a_slice(monkeypatch: pytest.MonkeyPatch) -> None:
    table = certain(5, {1: 2, 2: 3})
    ids = np.random.default_rng(0).integers(0, 5, 60)
    whole = score(Table(), table, windows(ids, 20, 7, 0), 8, CPU)  # type: ignore[arg-type]
    monkeypatch.setattr(likelihood, "ROWS", 4)
    sliced = score(Table(), table, windows(ids, 20, 7, 0), 8, CPU)  # type: ignore[arg-type]
    assert all((a.nats == b.nats).all() for a, b in zip(whole, sliced, strict=True))

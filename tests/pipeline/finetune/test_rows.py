"""Batches hold rows of similar length, and each row once."""

import numpy as np

from growbench.pipeline.finetune.rows import Encoded, batches


def split(count: int = 100) -> Encoded:
    rng = np.random.default_rng(0)
    ids = [[2, *[7] * int(n), 3] for n in rng.integers(1, 30, count)]
    return Encoded(ids, [[0] * len(i) for i in ids], np.zeros(count, dtype=np.int64))


def test_batches_visit_every_row_once_and_hold_similar_lengths() -> None:
    data = split()
    made = batches(data, 8, np.random.default_rng(1))
    assert sorted(np.concatenate(made).tolist()) == list(range(100))
    spread = [max(len(data.ids[r]) for r in rows) - min(len(data.ids[r]) for r in rows) for rows in made]
    assert np.mean(spread) < 5
    again = batches(data, 8, np.random.default_rng(1))
    assert all((a == b).all() for a, b in zip(made, again, strict=True))

"""How many tokens of a sequence are read, run and predicted. No torch: a plan has a price before anything is trained."""

from math import ceil


def predicted(length: int, rate: float | None) -> int:
    """Return the predicted positions of a sequence of `length` tokens: a share `rate` of all but the first; None: every next token."""
    return length - 1 if rate is None else max(1, round(rate * (length - 1)))


def after_cut(length: int, cut: int) -> int:
    """Return how many tokens of a sequence are read if it is cut to its first 1/cut."""
    return length if cut == 1 else ceil(length / cut)


def pooled(length: int, factor: int, positions: int) -> int:
    """Return the embeddings of a pooled sequence of `length` tokens of which `positions` are predicted (train/variants/pool.py)."""
    return length if factor == 1 else 1 + ceil((length - 1) / factor) + positions

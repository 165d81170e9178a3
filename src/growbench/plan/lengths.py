"""How many tokens of a sequence are read, run and predicted; without torch, so that a plan's cost is known early."""

from math import ceil


def predicted(length: int, rate: float | None) -> int:
    """Predicted positions of one sequence of `length` tokens: a share `rate` of all but the first; None: every next token."""
    return length - 1 if rate is None else max(1, round(rate * (length - 1)))


def after_cut(length: int, cut: int) -> int:
    """Tokens that are read of a sequence whose first 1/cut is kept."""
    return length if cut == 1 else ceil(length / cut)


def pooled(length: int, factor: int, positions: int) -> int:
    """Embeddings of one sequence of `length` tokens of which `positions` are predicted (train/pool.py)."""
    return length if factor == 1 else 1 + ceil((length - 1) / factor) + positions

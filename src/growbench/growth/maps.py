"""Maps between the coordinates of a source space and those of its wider target space.

A SpaceMap says, per target coordinate j, which source coordinate it is a copy of, with which factor it is written
(x_t[j] = write[j] * x_s[index[j]]), and by which factor its readers multiply it (read[j]). A product is preserved if
the factors of all copies of a source coordinate satisfy sum_j write[j] * read[j] = 1 (Net2Net; bert2BERT, section 3).
numpy only: plans and checks are built without torch.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from growbench.errors import GrowBenchError
from growbench.spec import ModelSpec

NEW = -1  # a coordinate without a source, filled by the Fill policy
# A coordinate that does not change the norms' statistics: the mean under LayerNorm, zero under RMSNorm (LEMON).
NEUTRAL = -2

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class SpaceMap:
    """The linear map of one space. All arrays have the target's length.

    index: source coordinate of each target coordinate, or NEW or NEUTRAL.
    write: factor with which it is written.
    read: factor by which its readers multiply it.
    copy: number of this copy of its source coordinate, from 0 (NEW and NEUTRAL: 0).
    donor: True where a row is written from the next source layer instead of its own (bert2BERT's AKI).
    source_size: coordinates of the source.
    """

    index: Ints
    write: Floats
    read: Floats
    copy: Ints
    donor: NDArray[np.bool_]
    source_size: int

    @property
    def target_size(self) -> int:
        return len(self.index)

    @property
    def is_identity(self) -> bool:
        return (
            self.target_size == self.source_size
            and bool((self.index == np.arange(self.target_size)).all() and (self.write == 1).all())
            and bool((self.read == 1).all() and not self.donor.any())
        )

    def with_donors(self) -> "SpaceMap":
        """Return the same map, with added coordinates (those after the source's) written from the next layer."""
        return replace(self, donor=np.arange(self.target_size) >= self.source_size)


def counts(index: Ints, source_size: int) -> Ints:
    """Return how often each source coordinate is copied, [source_size]."""
    return np.bincount(index[index >= 0], minlength=source_size).astype(np.int64)


def even(space: SpaceMap) -> bool:
    """Whether every coordinate is a copy, and each source coordinate has equally many, all written as they are."""
    copies = counts(space.index, space.source_size)
    return bool((space.index >= 0).all() and (copies == copies[0]).all() and (space.write == 1).all())


def copy_numbers(index: Ints) -> Ints:
    """Number the copies of each source coordinate in order of appearance, [len(index)]."""
    seen: dict[int, int] = {}
    numbers = np.zeros(len(index), dtype=np.int64)
    for position, source in enumerate(index.tolist()):
        if source >= 0:
            numbers[position] = seen.get(source, 0)
            seen[source] = seen.get(source, 0) + 1
    return numbers


def from_index(index: Sequence[int] | Ints, source_size: int, *, divide: bool = True) -> SpaceMap:
    """Make a map from an index list. Readers divide by the number of copies unless `divide` is False.

    Raises GrowBenchError if the index names a coordinate that the source does not have.
    """
    chosen = np.asarray(index, dtype=np.int64)
    if len(chosen) and (chosen.max() >= source_size or chosen.min() < NEUTRAL):
        raise GrowBenchError(
            f"map: coordinate {chosen.max()} is not one of the source's {source_size}; use 0..{source_size - 1}"
        )
    read = np.ones(len(chosen))
    old = chosen >= 0
    if divide and old.any():
        read[old] = 1.0 / counts(chosen, source_size)[chosen[old]]

    return SpaceMap(
        index=chosen,
        write=np.ones(len(chosen)),
        read=read,
        copy=copy_numbers(chosen),
        donor=np.zeros(len(chosen), dtype=bool),
        source_size=source_size,
    )


def selected(index: Ints, source_size: int, *, rescale: bool) -> SpaceMap:
    """Make a map that keeps only these coordinates. With `rescale` readers multiply by source_size / len(index)."""
    chosen = from_index(index, source_size, divide=False)
    return replace(chosen, read=chosen.read * (source_size / len(index))) if rescale else chosen


Draw = Literal["balanced", "shuffled", "random", "new"]


def draw_index(source_size: int, target_size: int, draw: Draw, rng: np.random.Generator) -> Ints:
    """Return the source index of each target coordinate. The first ones are the source itself.

    balanced: cycle through the source (every coordinate equally often at an integer ratio). shuffled: the same copies in
    random order. random: uniform with replacement, as published by bert2BERT. new: no source. Raises GrowBenchError if
    the target is smaller.
    """
    added = target_size - source_size
    if added < 0:
        raise GrowBenchError(
            f"map: {target_size} coordinates are fewer than the source's {source_size}, and growth cannot shrink; "
            "use a larger target"
        )
    cycled = np.arange(source_size, target_size) % source_size
    extra = {
        "balanced": lambda: cycled,
        "shuffled": lambda: rng.permutation(cycled),
        "random": lambda: rng.integers(0, source_size, added),
        "new": lambda: np.full(added, NEW),
    }[draw]()
    return np.concatenate([np.arange(source_size), extra]).astype(np.int64)


def expand_heads(head_index: Ints, head_size: int) -> Ints:
    """Turn an index over heads into one over their coordinates, head_size per head."""
    inner = np.arange(head_size)
    return np.where(head_index[:, None] >= 0, head_index[:, None] * head_size + inner, head_index[:, None]).reshape(-1)


def head_indices(source: ModelSpec, target: ModelSpec, draw: Draw, rng: np.random.Generator) -> tuple[Ints, Ints]:
    """Draw the query-head and key/value-head maps so that each query head keeps its key/value group.

    If there are as many key/value heads as heads, both maps are the same. With groups (GQA), the groups are drawn
    first, and the query heads of a target group come from the source group that it copies.
    """
    kv = draw_index(source.kv_heads, target.kv_heads, draw, rng)
    per_source, per_target = source.heads // source.kv_heads, target.heads // target.kv_heads
    if per_target < per_source:
        raise GrowBenchError(
            f"target.kv_heads: {target.kv_heads} leaves {per_target} heads per group, fewer than the source's {per_source}; "
            f"use at most {target.heads // per_source}"
        )
    heads = []
    for group in kv:
        inner = draw_index(per_source, per_target, draw, rng)
        heads.append(np.where((inner >= 0) & (group >= 0), group * per_source + inner, NEW))
    return np.concatenate(heads), kv


def require_same_head_size(source: ModelSpec, target: ModelSpec) -> None:
    """Raise GrowBenchError unless whole heads can be copied."""
    if source.head_size != target.head_size:
        fitting = target.hidden // source.head_size
        raise GrowBenchError(
            f"target.heads: {target.heads} heads of size {target.head_size} cannot be copied from heads of size {source.head_size}; "
            f"use {fitting} heads"
            + ("" if fitting * source.head_size == target.hidden else " and a hidden size that they divide")
        )

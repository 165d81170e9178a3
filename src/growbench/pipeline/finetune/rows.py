"""Tokenized rows, batches of rows of similar length, and their tensors."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class Encoded:
    """A tokenized split.

    ids: the token ids of each row. types: the token types of each row.
    labels: [rows]; for spans [rows, 2], the first and last token of the answer.
    cut: number of examples that were cut.
    """

    ids: Sequence[Any]
    types: Sequence[Any]
    labels: np.ndarray
    cut: int = field(default=0, kw_only=True)

    def longer(self, length: int) -> int:
        """Return how many examples have more than `length` tokens."""
        return sum(len(ids) > length for ids in self.ids)


def batches(split: Encoded, size: int, rng: np.random.Generator | None) -> list[np.ndarray]:
    """Group row numbers into batches of at most `size` rows of similar length.

    rng: draws the order of the batches, and which rows of similar length go together; None: sorted by length.
    """
    lengths = np.asarray([len(ids) for ids in split.ids])
    if rng is None:
        order = np.argsort(lengths, kind="stable")
        return [order[i : i + size] for i in range(0, len(order), size)]
    shuffled, pool, out = rng.permutation(len(lengths)), size * 32, []
    for start in range(0, len(shuffled), pool):
        part = shuffled[start : start + pool]
        part = part[np.argsort(lengths[part], kind="stable")]
        out += [part[i : i + size] for i in range(0, len(part), size)]
    return [out[i] for i in rng.permutation(len(out))]


def order(split: Encoded, size: int, epochs: int, seed: int) -> list[np.ndarray]:
    """Return the batches of row numbers of a whole run, in the order of its steps."""
    rng = np.random.default_rng(seed)
    return [rows for _ in range(epochs) for rows in batches(split, size, rng)]


def collate(split: Encoded, rows: np.ndarray, pad: int, device: torch.device) -> dict[str, Tensor]:
    """Return rows, padded to the longest: input_ids, token_type_ids, attention_mask [B, T], labels [B] or [B, 2]."""
    longest = max(len(split.ids[r]) for r in rows)
    ids, types, mask = (np.full((len(rows), longest), fill, dtype=np.int64) for fill in (pad, 0, 0))
    for i, r in enumerate(rows):
        n = len(split.ids[r])
        ids[i, :n], types[i, :n], mask[i, :n] = split.ids[r], split.types[r], 1
    arrays = {"input_ids": ids, "token_type_ids": types, "attention_mask": mask, "labels": split.labels[rows]}
    return {key: torch.from_numpy(value).to(device) for key, value in arrays.items()}


def typed(model: Any, batch: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the batch, without token types if the model has no table for them."""
    if getattr(model.config, "type_vocab_size", 0) > 1:
        return batch
    return {key: value for key, value in batch.items() if key != "token_type_ids"}


def cut(rows: list[Any], limit: int | None) -> tuple[list[Any], bool]:
    """Return at most `limit` rows, always the same random ones, and whether any were left out."""
    if limit is None or limit >= len(rows):
        return rows, False
    return [rows[i] for i in np.random.default_rng(0).permutation(len(rows))[:limit]], True

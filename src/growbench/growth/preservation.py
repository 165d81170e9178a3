"""Does a grown model compute the source's function? Measured on outputs, never on argmax or loss."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from growbench.families import Family
from growbench.growth.maps import SpaceMap

IGNORED = -100  # label of a position that the loss leaves out
HIDE_EVERY = 7  # one in seven positions is hidden, about the 15 % of masked-LM training


@dataclass(frozen=True, slots=True)
class Preservation:
    """How far two models' logits differ.

    max_abs_delta: largest difference of a logit.
    logit_scale: largest absolute logit of the source.
    """

    max_abs_delta: float
    logit_scale: float

    @property
    def relative_delta(self) -> float:
        """The difference relative to the scale; infinite if a source of zeros became something else."""
        if self.max_abs_delta == 0:
            return 0.0
        return self.max_abs_delta / self.logit_scale if self.logit_scale else math.inf

    def to_dict(self) -> dict[str, float]:
        return {**asdict(self), "relative_delta": self.relative_delta}


@torch.no_grad()
def measure(family: Family, source: nn.Module, target: nn.Module, ids: Tensor) -> Preservation:
    """Compare the logits of both models on token ids [B, T], in evaluation mode."""
    modes = source.training, target.training
    a, b = (family.head(m.eval(), family.encode(m, ids)) for m in (source, target))
    source.train(modes[0]), target.train(modes[1])
    return Preservation(float((a - b).abs().max()), float(a.abs().max()))


@dataclass(frozen=True, slots=True)
class Sample:
    """Inputs on which two models are compared.

    rows: batches of sequences [B, T] or images [B, ...].
    labels: per batch, the token that each logit should predict [B, T], or IGNORED; empty if there is no loss.
    words: what the inputs are.
    """

    rows: tuple[Tensor, ...]
    labels: tuple[Tensor, ...]
    words: str


def next_tokens(rows: Sequence[Tensor], words: str) -> Sample:
    """Label batches of token ids [B, T] with the token that follows."""
    labels = [torch.cat([row[:, 1:], torch.full_like(row[:, :1], IGNORED)], dim=1) for row in rows]
    return Sample(tuple(rows), tuple(labels), words)


def hidden_tokens(
    rows: Sequence[Tensor], words: str, *, mask: int | None = None, special: Sequence[int] = ()
) -> Sample:
    """Hide every seventh token of batches [B, T] and label its position with it.

    mask: the token that replaces it; None for the row's first token. special: tokens that are not hidden.
    """
    shown, labels = [], []
    for row in rows:
        every = (torch.arange(row.shape[1]) % HIDE_EVERY == HIDE_EVERY // 2)[None]
        hidden = every & ~torch.isin(row, torch.tensor(list(special), dtype=row.dtype))
        shown.append(row.where(~hidden, row[:, :1] if mask is None else torch.tensor(mask)))
        labels.append(row.masked_fill(~hidden, IGNORED))
    return Sample(tuple(shown), tuple(labels), words)


@dataclass(frozen=True, slots=True)
class Row:
    """The outputs of a model for one batch.

    tensors: its logits, or its hidden states if it has no head.
    headed: whether they are logits.
    loss: sum over labeled positions.
    count: number of labeled positions.
    """

    tensors: list[Tensor]
    headed: bool
    loss: float
    count: int


class NotFiniteError(ArithmeticError):
    """A model's outputs are infinite, NaN, or too large to be compared."""


_STATES = "last_hidden_state"


@torch.inference_mode()
def outputs(model: Any, sample: Sample) -> Iterator[Row]:
    """Run a model in evaluation mode on a sample, one batch at a time."""
    for number, row in enumerate(sample.rows):
        choices = row[None] if type(model).__name__.endswith("MultipleChoice") else row
        given = model(**{model.main_input_name: choices})
        names = [name for name in given if name.endswith("logits")]
        tensors = [given[name] for name in names or [_STATES if _STATES in given else next(iter(given))]]
        loss, count = 0.0, 0
        if sample.labels:
            labels = sample.labels[number].flatten()
            at = labels != IGNORED
            logits = tensors[0].flatten(0, 1)[at].float()
            loss, count = float(nn.functional.cross_entropy(logits, labels[at], reduction="sum")), int(at.sum())
        yield Row(tensors, bool(names) or _STATES not in given, loss, count)


def compare(load: Callable[[str], Any], sample: Sample, residual: SpaceMap) -> dict[str, Any]:
    """Run `load("source")`, then `load("target")`, one in memory at a time. Return differences and losses.

    `at` is where the largest difference is, None if there is none: see `_place`. A loss is None without labels, a relative
    difference if a source of zeros became something else. Models without a head are compared on the hidden coordinates
    that are copies. Raises NotFiniteError if outputs are not finite.
    """
    source = list(outputs(load("source"), sample))
    delta, scale, after, at = 0.0, 0.0, 0.0, None
    for number, (small, big) in enumerate(zip(source, outputs(load("target"), sample), strict=True)):
        after += big.loss
        for a, b in zip(small.tensors, big.tensors, strict=True):
            a, b = (a, b) if small.headed else _copies(a, b, residual)
            before, scale = delta, _largest(scale, a)
            if (delta := _largest(delta, a - b)) > before:
                at = _place(sample, number, (a - b).abs())
    if not (math.isfinite(delta) and math.isfinite(scale)):
        raise NotFiniteError
    count = sum(row.count for row in source)
    losses = (sum(row.loss for row in source) / count, after / count) if count else (None, None)
    values = {**Preservation(delta, scale).to_dict(), "loss_before": losses[0], "loss_after": losses[1]}
    return {key: v if v is not None and math.isfinite(v) else None for key, v in values.items()} | {"at": at}


def _place(sample: Sample, number: int, differences: Tensor) -> dict[str, int | None]:
    """Return where the largest of a batch's differences [B, ...] is.

    row: of the sample, counted over its batches. position: in the row. token: at that position. output: the logit, or the
    hidden coordinate. None for what the outputs or the inputs do not have.
    """
    index = [int(i) for i in torch.unravel_index(differences.argmax(), differences.shape)]
    batch = sample.rows[number]
    aligned = batch.dim() == 2 and differences.shape[:2] == batch.shape
    position = index[1] if len(index) > 2 or aligned else None
    return {
        "row": index[0] + sum(len(rows) for rows in sample.rows[:number]),
        "position": position,
        "token": int(batch[index[0], index[1]]) if aligned else None,
        "output": index[-1] if len(index) > 1 + (position is not None) else None,
    }


def _copies(a: Tensor, b: Tensor, residual: SpaceMap) -> tuple[Tensor, Tensor]:
    """Arrange the source's hidden states as in the target, and leave out coordinates that are not copies."""
    copied = torch.from_numpy(residual.index >= 0)
    factors = torch.from_numpy(residual.write)[copied].to(a.dtype)
    return a[..., torch.from_numpy(residual.index)[copied]] * factors, b[..., copied]


def _largest(so_far: float, tensor: Tensor) -> float:
    """Return the largest absolute value so far; NaN if there is a NaN."""
    here = float(tensor.abs().max())
    return here if math.isnan(here) or here > so_far else so_far

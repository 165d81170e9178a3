"""Masked LM, causal LM and classification behind one interface; the head sees predicted positions only."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from growbench.families import Family
from growbench.plan.lengths import predicted
from growbench.train import cross_entropy


@dataclass(frozen=True, slots=True)
class Batch:
    """One batch of B sequences of T tokens, P of which are predicted; or of B images, each with one prediction.

    inputs: ids [B, T], or images [B, C, H, W].
    positions: indices [P] of the predicted positions in the flattened inputs; of images, their numbers [B].
    labels: ids [P], or classes [B].
    """

    inputs: Tensor
    positions: Tensor
    labels: Tensor

    def to(self, device: torch.device) -> "Batch":
        return Batch(*(t.to(device, non_blocking=True) for t in (self.inputs, self.positions, self.labels)))

    def piece(self, number: int, pieces: int) -> "Batch":
        """Return the rows of one of `pieces` equal parts; every row predicts the same number of positions."""
        if pieces == 1:
            return self
        rows = len(self.inputs)
        length = self.inputs.shape[1] if self.inputs.dim() == 2 else 1
        size, each = rows // pieces, len(self.positions) // rows
        first, last = number * size, (number + 1) * size
        chosen = slice(first * each, last * each)
        return Batch(self.inputs[first:last], self.positions[chosen] - first * length, self.labels[chosen])


@dataclass(frozen=True, slots=True)
class MaskedLM:
    """Predict a fixed number of positions per sequence: 80 % become [MASK], 10 % random, 10 % stay (BERT, 3.1).

    Special tokens are neither predicted nor drawn. All sequences predict the same number of positions, so that they cost
    the same. One that has fewer ordinary positions predicts some of them twice; one that has none predicts its special ones.

    rate: share of positions that are predicted.
    mask_id: id of [MASK].
    vocab: size of the vocabulary, from which random ids are drawn.
    special: ids that are neither predicted nor drawn, besides [MASK].
    """

    rate: float
    mask_id: int
    vocab: int
    special: frozenset[int] = frozenset()

    ahead: ClassVar[int] = 0  # places from a predicted position to the token that is predicted there

    def positions(self, length: int) -> int:
        """Return how many positions of a sequence are predicted; the first token, [CLS], never is."""
        return predicted(length, self.rate)

    def ordinary(self, ids: Tensor) -> Tensor:
        """Return which ids may be predicted, as booleans of the same shape."""
        return ~torch.isin(ids, torch.tensor(self._never()))

    def batch(self, ids: Tensor, seed: int, step: int) -> Batch:
        """Return ids [B, T] with predicted positions replaced, as a function of (seed, step) alone."""
        rng = torch.Generator().manual_seed((seed * 1_000_003 + step) % 2**63)
        rows, length = ids.shape
        chosen = self._chosen(self.ordinary(ids[:, 1:]), self.positions(length), rng) + 1
        flat = (chosen + torch.arange(rows)[:, None] * length).reshape(-1)
        labels = ids.reshape(-1)[flat]
        kind = torch.rand(len(flat), generator=rng)
        replaced = torch.where(
            kind < 0.8,
            torch.full_like(labels, self.mask_id),
            torch.where(kind < 0.9, self._drawn(len(flat), rng), labels),
        )
        inputs = ids.reshape(-1).clone()
        inputs[flat] = replaced
        return Batch(inputs.view(rows, length), flat, labels)

    def _chosen(self, ordinary: Tensor, count: int, rng: torch.Generator) -> Tensor:
        """Return places [B, count] that are predicted, rising. ordinary: which places of each row may be, [B, T - 1]."""
        order = (torch.rand(ordinary.shape, generator=rng) + ordinary).topk(count, dim=1).indices
        able = ordinary.sum(1, keepdim=True).clamp(1, count)
        return order.gather(1, torch.arange(count) % able).sort(dim=1).values

    def _drawn(self, count: int, rng: torch.Generator) -> Tensor:
        """Return random ids [count], none of them special."""
        never = self._never()
        ids = torch.randint(0, self.vocab - len(never), (count,), generator=rng)
        for special in never:
            ids += ids >= special
        return ids

    def _never(self) -> list[int]:
        return sorted({self.mask_id, *self.special})


@dataclass(frozen=True, slots=True)
class CausalLM:
    """Predict every next token, special or not."""

    ahead: ClassVar[int] = 1

    def positions(self, length: int) -> int:
        return predicted(length, None)

    def ordinary(self, ids: Tensor) -> Tensor:
        """Return which ids may be predicted: all."""
        return torch.ones_like(ids, dtype=torch.bool)

    def batch(self, ids: Tensor, seed: int, step: int) -> Batch:
        rows, length = ids.shape
        flat = (torch.arange(length - 1) + torch.arange(rows)[:, None] * length).reshape(-1)
        return Batch(ids, flat, ids[:, 1:].reshape(-1))


Objective = MaskedLM | CausalLM


def logits(family: Family, model: nn.Module, batch: Batch) -> Tensor:
    """Return the logits [P, vocab] of the predicted positions."""
    return family.head(model, family.encode(model, batch.inputs).flatten(0, 1)[batch.positions])


def loss(family: Family, model: nn.Module, batch: Batch) -> Tensor:
    """Return the mean cross-entropy in nats over the predicted positions."""
    return cross_entropy.mean(logits(family, model, batch), batch.labels)


def hits(family: Family, model: nn.Module, batch: Batch) -> Tensor:
    """Return whether the most likely prediction at each predicted position is right, 1 or 0, [P]."""
    return (logits(family, model, batch).argmax(-1) == batch.labels).float()


def losses(family: Family, model: nn.Module, batch: Batch) -> Tensor:
    """Return the cross-entropy in nats at each predicted position, [P]."""
    return cross_entropy.each(logits(family, model, batch), batch.labels)

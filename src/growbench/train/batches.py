"""What one step reads and predicts: a function of seed and step alone."""

from dataclasses import dataclass

from growbench.plan.lengths import after_cut
from growbench.train.data import PackedSequences
from growbench.train.objective import Batch, Objective


@dataclass(frozen=True, slots=True)
class Batches:
    """The batches of a run.

    sequences: the packed text; its seed also draws the masked tokens.
    objective: what is predicted.
    size: sequences per batch.
    """

    sequences: PackedSequences
    objective: Objective
    size: int

    @property
    def seed(self) -> int:
        """The run's seed."""
        return self.sequences.seed

    def of(self, step: int, cut: int = 1) -> Batch:
        """Return the batch of one step. cut: only the first 1/cut of every sequence is read."""
        ids = self.sequences.batch(step, self.size)[:, : after_cut(self.sequences.length, cut)]
        return self.objective.batch(ids, self.seed, step)

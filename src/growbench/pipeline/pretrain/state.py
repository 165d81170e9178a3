"""The resumable state of one run: checkpoints while it trains, from which the same command resumes."""

import logging
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from growbench.pipeline.pretrain.journal import Journal
from growbench.pipeline.pretrain.models import model_config
from growbench.pipeline.pretrain.stages import Stages
from growbench.runtime import interrupt
from growbench.train import checkpoint
from growbench.train.loop import Trainer
from growbench.train.processes import shard
from growbench.train.segment import Diverged

log = logging.getLogger(__name__)
TRUNK = "trunk/"  # prefix of the trunk's tensors in a checkpoint of a cool-down
IDENTITY = ("version", "config", "options", "plan")
VERSION = 2  # of a checkpoint's state


@dataclass
class RunState:
    """The resumable state of one run.

    name: of the run.
    folder: of its checkpoint.
    config: digest of the values that a trained model depends on.
    journal: the run's; resume() sets it back.
    stages: makes the run's trainers.
    trunk: the trunk's tensors while a finished point cools down.
    last: the last good checkpoint, in words.
    saved: when it was written, or when training began (seconds of the monotonic clock).
    """

    name: str
    folder: Path
    config: str
    journal: Journal
    stages: Stages
    trunk: dict[str, Tensor] = field(default_factory=dict)
    last: str = "none yet"
    saved: float = field(default_factory=time.monotonic)

    def due(self) -> bool:
        """Return whether a checkpoint is due: a signal is pending, or the last one is old."""
        seconds = self.stages.timeline.study.train.checkpoint_seconds
        return self.stages.ranks.agree(interrupt.wanted() or time.monotonic() - self.saved > seconds)

    def pause(self, trainer: Trainer) -> None:
        """Write a checkpoint if one is due, and stop here if a signal is pending."""
        if self.due():
            self.save(trainer)
            self._end()

    def leave(self, trainer: Trainer) -> None:
        """Copy the trunk before a cool-down; a resumed cool-down already has the copy."""
        if not self.trunk:
            self.save(trainer)
            self.trunk = checkpoint.snapshot(trainer.model, trainer.opt)

    def put_back(self, trainer: Trainer) -> None:
        """Go back to the trunk after a cool-down and write a checkpoint; stop here if a signal is pending."""
        checkpoint.restore(trainer.model, trainer.opt, self.trunk)
        self.trunk = {}
        self.save(trainer)
        self._end()

    def save(self, trainer: Trainer) -> None:
        """Write a checkpoint; every process must call this."""
        tensors = checkpoint.snapshot(trainer.model, trainer.opt)
        tensors |= {f"{TRUNK}{name}": tensor for name, tensor in self.trunk.items()}
        first = self.stages.ranks.first
        tensors = shard.gathered(tensors, keep=first)
        if first:
            if name := checkpoint.infinite(tensors):
                raise self.diverged(f"{name} is not finite after step {self._step() - 1}")
            state = {**self._identity(), **self.journal.state(), "model_config": model_config(trainer.model)}
            checkpoint.save_state(self.folder, tensors, state)
        self.saved, self.last = time.monotonic(), self._place()

    def resume(self) -> Trainer | None:
        """Return the trainer of the last checkpoint and set the journal back to it; None if there is none.

        A checkpoint of another config, options or plan is reported and not used: the run starts over.
        """
        found = self.stages.ranks.in_turn(lambda: checkpoint.load_state(self.folder))
        own = self._identity()
        if found is None:
            return None
        if other := [key for key in IDENTITY if found[1].get(key) != own[key]]:
            log.warning("%s: written with another %s; the run starts over", self.folder, " and ".join(other))
            return None
        tensors, state = found
        self.journal.restore(state)
        at, stages = self.journal.at, self.stages
        model = stages.models.again(stages.timeline.plan.stages[at.stage], state["model_config"])
        trainer = stages.trainer(at.stage, model, at.entered)
        checkpoint.restore(trainer.model, trainer.opt, tensors)
        self.trunk = {n.removeprefix(TRUNK): t for n, t in tensors.items() if n.startswith(TRUNK)}
        self.last = self._place()
        log.info("%s resumes at step %d", self.name, self._step())
        return trainer

    def diverged(self, what: str) -> Diverged:
        """Return the error that ends a diverged run; it names the last good checkpoint."""
        return Diverged(
            f"optimizer.lr: {self.name} diverged: {what}, stage {self.journal.at.stage}; the last good checkpoint is "
            f"{self.last}; use a smaller LR"
        )

    def _end(self) -> None:
        interrupt.check(self.stages.ranks.agree(interrupt.wanted()))

    def _identity(self) -> dict[str, Any]:
        """Return what a checkpoint must share with the run that resumes from it."""
        timeline = self.stages.timeline
        values = (VERSION, self.config, dict(timeline.options), timeline.plan.to_list())
        return dict(zip(IDENTITY, values, strict=True))

    def _place(self) -> str:
        """Return the path and the step of the checkpoint."""
        return f"{self.folder}, step {self._step()}"

    def _step(self) -> int:
        """Return the number of steps taken so far."""
        return self.journal.at.step + self.journal.segment.done

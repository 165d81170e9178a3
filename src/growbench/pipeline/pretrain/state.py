"""The checkpoint of one run: kept while it trains, and what the same command goes on from."""

import logging
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from growbench.pipeline.pretrain.journal import Journal
from growbench.pipeline.pretrain.stages import Stages, model_config
from growbench.runtime import interrupt
from growbench.train import checkpoint
from growbench.train.loop import Trainer
from growbench.train.processes import shard
from growbench.train.segment import Diverged

log = logging.getLogger(__name__)
TRUNK = "trunk/"  # the trunk's tensors in a checkpoint of a cool-down
IDENTITY = ("version", "config", "options", "plan")
VERSION = 2  # of a checkpoint's state


@dataclass
class RunState:
    """name: of the run. folder: of its checkpoint. config: digest of what a trained model depends on. journal: the run's,
    which resume() sets back. trunk: while a finished point cools down, what the trunk goes on from. last: which checkpoint
    is the last good one. saved: when it was written, or the training began.
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
        """Whether a checkpoint is due: a signal waits, or the last one is old."""
        seconds = self.stages.course.study.train.checkpoint_seconds
        return self.stages.ranks.agree(interrupt.wanted() or time.monotonic() - self.saved > seconds)

    def pause(self, trainer: Trainer) -> None:
        """Keep a checkpoint where one is due, and end here if a signal asks for it."""
        if self.due():
            self.save(trainer)
            self._end()

    def leave(self, trainer: Trainer) -> None:
        """Keep the trunk that a cool-down begins from; one that was resumed has it already."""
        if not self.trunk:
            self.save(trainer)
            self.trunk = checkpoint.snapshot(trainer.model, trainer.opt)

    def put_back(self, trainer: Trainer) -> None:
        """Put the trunk back after a cool-down and keep it; end here if a signal asks for it."""
        checkpoint.restore(trainer.model, trainer.opt, self.trunk)
        self.trunk = {}
        self.save(trainer)
        self._end()

    def save(self, trainer: Trainer) -> None:
        """Write a checkpoint; every process must come here."""
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
        """Go on from the last checkpoint of this very config, options and plan; from any other one the run starts anew."""
        found = self.stages.ranks.in_turn(lambda: checkpoint.load_state(self.folder))
        own = self._identity()
        if found is None:
            return None
        if other := [key for key in IDENTITY if found[1].get(key) != own[key]]:
            log.warning("%s: of another %s; the run starts anew", self.folder, " and ".join(other))
            return None
        tensors, state = found
        self.journal.restore(state)
        at, stages = self.journal.at, self.stages
        model = stages.again(stages.course.plan.stages[at.stage], state["model_config"])
        trainer = stages.trainer(at.stage, model)
        trainer.entered = at.entered
        checkpoint.restore(trainer.model, trainer.opt, tensors)
        self.trunk = {n.removeprefix(TRUNK): t for n, t in tensors.items() if n.startswith(TRUNK)}
        self.last = self._place()
        log.info("%s goes on at step %d", self.name, self._step())
        return trainer

    def diverged(self, what: str) -> Diverged:
        """Return the error that ends a run whose numbers went wrong, with what may be gone back to."""
        return Diverged(
            f"optimizer.lr: {self.name} diverged: {what}, stage {self.journal.at.stage}; the last good checkpoint is "
            f"{self.last}; use a smaller LR"
        )

    def _end(self) -> None:
        interrupt.check(self.stages.ranks.agree(interrupt.wanted()))

    def _identity(self) -> dict[str, Any]:
        """What a checkpoint must share with the run that goes on from it."""
        course = self.stages.course
        values = (VERSION, self.config, dict(course.options), course.plan.to_list())
        return dict(zip(IDENTITY, values, strict=True))

    def _place(self) -> str:
        """Where the checkpoint lies and which step it is of."""
        return f"{self.folder}, step {self._step()}"

    def _step(self) -> int:
        """Steps taken so far."""
        return self.journal.at.step + self.journal.segment.done

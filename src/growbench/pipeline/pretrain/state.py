"""The resumable state of one run: checkpoints while it trains, from which the same command resumes."""

import logging
import shutil
import time
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from growbench.pipeline.pretrain.journal import Journal
from growbench.pipeline.pretrain.models import model_config
from growbench.pipeline.pretrain.stages import Stages
from growbench.records import finished, identity
from growbench.records.identity import Identity
from growbench.records.layout import RunFolder
from growbench.runtime import durable, interrupt
from growbench.train import checkpoint
from growbench.train.loop import Trainer
from growbench.train.processes.saver import Saver
from growbench.train.segment import Diverged

log = logging.getLogger(__name__)
TRUNK = "trunk/"  # prefix of the trunk's tensors in a checkpoint of a cool-down


@dataclass
class RunState:
    """The resumable state of one run.

    name: of the run.
    folder: where its checkpoints and finished points lie.
    identity: everything that its numbers depend on; what was made from anything else is removed.
    journal: the run's; resume() sets it back.
    stages: makes the run's trainers.
    trunk: the trunk's tensors while a finished point cools down.
    last: the last good checkpoint, in words.
    coming: the one that may still be being written.
    saved: when that began, or when training began (seconds of the monotonic clock).
    """

    name: str
    folder: RunFolder
    identity: Identity
    journal: Journal
    stages: Stages
    trunk: dict[str, Tensor] = field(default_factory=dict)
    last: str = "none yet"
    coming: str = last
    saved: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        self.saver = Saver(self.folder.state, self.stages.ranks)

    def due(self) -> bool:
        """Return whether a checkpoint is due: a signal is pending, or the last one is old or could not be written."""
        seconds = self.stages.timeline.study.train.checkpoint_seconds
        old = time.monotonic() - self.saved > seconds
        return self.stages.ranks.agree(interrupt.wanted() or old or self.saver.failed)

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
        """Write a checkpoint, or begin to; every process must call this."""
        self.settle()
        tensors = checkpoint.held(trainer.model, trainer.opt)
        tensors |= {f"{TRUNK}{name}": tensor for name, tensor in self.trunk.items()}
        if name := checkpoint.infinite(tensors, self.stages.ranks):
            raise self.diverged(f"{name} is not finite after step {self._step() - 1}")
        own = {"identity": self.identity, "model_config": model_config(trainer.model)}
        self.saver.save(tensors, own | self.journal.state())
        self.saved, self.coming = time.monotonic(), self._place()

    def settle(self) -> None:
        """Wait for the checkpoint that is being written; every process must call this."""
        self.saver.settle()
        self.last = self.coming

    def resume(self) -> Trainer | None:
        """Return the trainer of the last checkpoint and set the journal back to it; None if the run starts over.

        What was made from something else is reported and removed. If finished points are missing or damaged, the run
        goes back to the checkpoint before them, so that they are made again.
        """
        state = self.stages.ranks.in_turn(self._usable)
        if state is None:
            return None
        self.journal.restore(state)
        at, stages = self.journal.at, self.stages
        if at.learning:
            trainer: Trainer = stages.learner(at.stage)
        else:
            model = stages.models.again(stages.timeline.plan.stages[at.stage], state["model_config"])
            trainer = stages.trainer(at.stage, model, at.entered)
        others = checkpoint.load_tensors(self.folder.state, trainer.model, trainer.opt)
        self.trunk = {name.removeprefix(TRUNK): tensor for name, tensor in others.items()}
        self.last = self.coming = self._place()
        log.info("%s resumes at step %d", self.name, self._step())
        return trainer

    def _usable(self) -> dict[str, Any] | None:
        """Return the state of the last checkpoint that this run can go on from; the first process removes the others."""
        place = self.folder.state
        if not self.stages.ranks.first:
            return checkpoint.state(place)
        while found := checkpoint.load_state(place):
            if changed := identity.changes(found.get("identity"), self.identity):
                self._start_over(changed)
                return None
            if not (lost := self._lost(found["points"])):
                return found
            if not checkpoint.step_back(place):
                self._start_over(lost)
                return None
            log.warning("%s: %s; going back to the previous checkpoint", self.name, lost)
        self._clean()
        return None

    def _start_over(self, why: str) -> None:
        log.warning("%s: %s; training it again", self.name, why)
        self._clean()
        checkpoint.forget(self.folder.state)

    def _clean(self) -> None:
        """Remove the finished points that were made from something else."""
        for point in self.folder.points.glob("*"):
            if finished.difference(point, self.identity):
                shutil.rmtree(point, ignore_errors=True)

    def _lost(self, points: list[dict[str, Any]]) -> str:
        """Return what is wrong with the first finished point that is not as it was saved; empty if all are."""
        for point in points:
            folder = self.folder.point(point["point"])
            if not folder.is_dir():
                return f"finished point {point['point']} is missing"
            if found := durable.damage(folder):
                return found
            if finished.difference(folder, self.identity) or finished.model(folder) != point["model"]:
                return f"{folder} is not the finished point that was saved"
        return ""

    def diverged(self, what: str) -> Diverged:
        """Return the error that ends a diverged run; it names the last good checkpoint. Every process must call this."""
        self.settle()
        return Diverged(
            f"optimizer.lr: {self.name} diverged: {what}, stage {self.journal.at.stage}; the last good checkpoint is "
            f"{self.last}; use a smaller LR"
        )

    def _end(self) -> None:
        if stopping := self.stages.ranks.agree(interrupt.wanted()):
            self.settle()
        interrupt.check(stopping)

    def _place(self) -> str:
        """Return the path and the step of the checkpoint."""
        return f"{self.folder.state}, step {self._step()}"

    def _step(self) -> int:
        """Return the number of steps taken so far."""
        return self.journal.at.step + self.journal.segment.done

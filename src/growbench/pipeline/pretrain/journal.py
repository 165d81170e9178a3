"""The journal of one run: its position, what it spent, its curve and its finished points, all JSON-able."""

from dataclasses import asdict, dataclass, field, replace
from typing import Any

from growbench.plan.flops import StepCost
from growbench.records.curve import COLUMNS
from growbench.train.ledger import Ledger
from growbench.train.segment import Segment


@dataclass
class Position:
    """How far a run is.

    stage: number of its stage.
    step: steps taken.
    entered: the step at which its stage began.
    began: FLOPs spent when its stage began.
    spent: FLOPs of this run alone.
    spent_electra: the same in ELECTRA's convention.
    tokens: read so far.
    wall: seconds of training.
    initial_loss: validation loss at the start of its stage, in nats.
    learning: whether the operator by which the stage is entered is still being learned.
    """

    stage: int = 0
    step: int = 0
    entered: int = 0
    began: float = 0.0
    spent: float = 0.0
    spent_electra: float = 0.0
    tokens: int = 0
    wall: float = 0.0
    initial_loss: float | None = None
    learning: bool = False


@dataclass
class Journal:
    """The journal of one run.

    source: what the source cost, counted in the totals; identity.FREE if there is no source. None: nobody knows.
    at: position at the start of the current segment.
    segment: the current segment.
    points: finished points.
    documents: the losses of each finished point by document, in nats.
    curve: its rows, values by column.
    ledger: what each phase and stage cost.
    """

    source: dict[str, float | None]
    at: Position = field(default_factory=Position)
    segment: Segment = field(default_factory=Segment)
    points: list[dict[str, Any]] = field(default_factory=list)
    documents: dict[str, list[float]] = field(default_factory=dict)
    curve: list[dict[str, Any]] = field(default_factory=list)
    ledger: Ledger = field(default_factory=Ledger)

    def spend(self, phase: str, cost: StepCost) -> float:
        """Close the segment, whose steps have this cost, and begin a new one; return its mean training loss in nats."""
        a, segment, self.segment = self.at, self.segment, Segment()
        count, passed = segment.done, segment.seconds()
        a.step, a.tokens, a.wall = a.step + count, a.tokens + count * cost.tokens, a.wall + passed["wall_seconds"]
        a.spent, a.spent_electra = a.spent + count * cost.flops, a.spent_electra + count * cost.flops_electra
        amounts = {"flops": count * cost.flops, "flops_electra": count * cost.flops_electra, "steps": count}
        self.ledger.add(phase, a.stage, **amounts, tokens=count * cost.tokens, **passed)
        return segment.loss / count

    def row(self, phase: str, point: str, lr: float, train: float | None, valid: float | None) -> None:
        """Add a row to the curve; losses in nats."""
        a = self.at
        costs = (a.spent, self._total(a.spent, "flops"), a.tokens)
        values = (a.step, phase, a.stage, point, *costs, lr, train, valid, round(a.wall, 3))
        self.curve.append({k: "" if v is None else v for k, v in zip(COLUMNS, values, strict=True)})

    def finish(
        self, point: str, fraction: float, budget: float, loss: float, nats: list[float], tail: float | None,
        model: str | None, accuracy: float | None = None,
    ) -> None:  # fmt: skip
        """Add a finished point at the current position.

        budget: FLOPs that the run may spend until there. loss: in nats per predicted token. nats: of each document. tail:
        spectrum.tail_energy of the model. model: digest of its weights. accuracy: of a model of images.
        A process that does not save the model has neither.
        """
        a = self.at
        self.documents[point] = nats
        self.points.append(
            {
                "point": point, "fraction": fraction, "budget_flops": budget, "loss": loss,
                "flops": a.spent, "flops_total": self._total(a.spent, "flops"), "flops_electra": a.spent_electra,
                "flops_total_electra": self._total(a.spent_electra, "flops_electra"), "steps": a.step, "tokens": a.tokens,
                "wall_seconds": round(a.wall, 3), "tail_energy": tail, "model": model,
                **({} if accuracy is None else {"accuracy": accuracy}),
            }
        )  # fmt: skip

    def _total(self, spent: float, key: str) -> float | None:
        """Return a cost with the source's; None if nobody knows that."""
        source = self.source[key]
        return None if source is None else spent + source

    def losses(self) -> tuple[list[float], list[float]]:
        """Return FLOPs and validation losses on the trunk since the stage began."""
        rows = [
            r
            for r in self.curve
            if r["phase"] == "trunk" and r["stage"] == self.at.stage and r["step"] > self.at.entered
        ]
        return [r["flops"] for r in rows], [r["valid_loss"] for r in rows]

    def has(self, point: str) -> bool:
        return any(p["point"] == point for p in self.points)

    def position(self) -> Position:
        """Return a copy of the position."""
        return replace(self.at)

    def state(self) -> dict[str, Any]:
        """Return everything that must survive an interruption."""
        finished = {"points": self.points, "documents": self.documents}
        own = {**finished, "curve": self.curve, "ledger": self.ledger.entries}
        return {"at": asdict(self.at), "segment": asdict(self.segment), **own}

    def restore(self, state: dict[str, Any]) -> None:
        """Go back to what state() returned."""
        self.at, self.segment = Position(**state["at"]), Segment(**state["segment"])
        self.points, self.documents, self.curve = state["points"], state["documents"], state["curve"]
        self.ledger.entries = state["ledger"]

    def full_ledger(self) -> list[dict[str, Any]]:
        """Return the ledger, with the source's cost as its first entry if there is a source."""
        if not self.source["flops"]:
            return self.ledger.entries
        first = {"phase": "source", "stage": -1, "steps": 0, "cpu_seconds": 0, "peak_memory_mb": 0, **self.source}
        return [first, *self.ledger.entries]

"""The journal of one run: where it stands, what it spent, its curve and its finished points, all JSON-able."""

import csv
import io
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from growbench.plan.flops import StepCost
from growbench.train.loop import Ledger
from growbench.train.segment import Segment

COLUMNS = (
    "step", "phase", "stage", "point", "flops", "flops_total", "tokens", "lr", "train_loss", "valid_loss",
    "wall_seconds",
)  # fmt: skip
FREE = {"flops": 0.0, "flops_electra": 0.0, "tokens": 0, "wall_seconds": 0.0}


@dataclass
class Position:
    """Where a run stands. entered, began: the step at which its stage began, and the FLOPs that were spent then. spent,
    spent_electra: FLOPs of this run alone in both conventions. wall: seconds.
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


@dataclass
class Journal:
    """source: what the source cost (FREE where there is none), which everything counted adds. at: where the segment in hand
    began.
    """

    source: dict[str, float]
    at: Position = field(default_factory=Position)
    segment: Segment = field(default_factory=Segment)
    points: list[dict[str, Any]] = field(default_factory=list)
    curve: list[dict[str, Any]] = field(default_factory=list)
    ledger: Ledger = field(default_factory=Ledger)

    def spend(self, phase: str, cost: StepCost) -> float:
        """Book the segment, whose steps have this cost, and begin a new one; return its mean training loss in nats."""
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
        costs = (a.spent, a.spent + self.source["flops"], a.tokens)
        values = (a.step, phase, a.stage, point, *costs, lr, train, valid, round(a.wall, 3))
        self.curve.append({k: "" if v is None else v for k, v in zip(COLUMNS, values, strict=True)})

    def finish(self, point: str, fraction: float, budget: float, loss: float, tail: float | None) -> None:
        """Add the finished point that the run stands at. budget: FLOPs of the largest budget. tail: spectrum.tail_energy."""
        a, extra = self.at, self.source
        self.points.append(
            {
                "point": point, "fraction": fraction, "budget_flops": fraction * budget, "loss": loss,
                "flops": a.spent, "flops_total": a.spent + extra["flops"], "flops_electra": a.spent_electra,
                "flops_total_electra": a.spent_electra + extra["flops_electra"], "steps": a.step, "tokens": a.tokens,
                "wall_seconds": round(a.wall, 3), "tail_energy": tail,
            }
        )  # fmt: skip

    def losses(self) -> tuple[list[float], list[float]]:
        """FLOPs and validation losses on the trunk since the stage began."""
        rows = [
            r
            for r in self.curve
            if r["phase"] == "trunk" and r["stage"] == self.at.stage and r["step"] > self.at.entered
        ]
        return [r["flops"] for r in rows], [r["valid_loss"] for r in rows]

    def has(self, point: str) -> bool:
        return any(p["point"] == point for p in self.points)

    def position(self) -> Position:
        """Return a copy of where the run stands."""
        return replace(self.at)

    def state(self) -> dict[str, Any]:
        """Return everything that must survive an interruption."""
        own = {"points": self.points, "curve": self.curve, "ledger": self.ledger.entries}
        return {"at": asdict(self.at), "leg": asdict(self.segment), **own}

    def restore(self, state: dict[str, Any]) -> None:
        """Go back to what state() returned."""
        self.at, self.segment = Position(**state["at"]), Segment(**state["leg"])
        self.points, self.curve = state["points"], state["curve"]
        self.ledger.entries = state["ledger"]

    def curve_csv(self) -> str:
        text = io.StringIO()
        writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.curve)
        return text.getvalue()

    def full_ledger(self) -> list[dict[str, Any]]:
        """The ledger with the source's cost as its first entry, where there is a source."""
        if not self.source["flops"]:
            return self.ledger.entries
        first = {"phase": "source", "stage": -1, "steps": 0, "cpu_seconds": 0, "peak_memory_mb": 0, **self.source}
        return [first, *self.ledger.entries]

"""A segment: steps of one run between two rows of its curve. A checkpoint may fall anywhere in it."""

from dataclasses import dataclass

from growbench.errors import GrowBenchError

READ = 20  # steps between two looks at the loss: each look waits for the device


@dataclass
class Segment:
    """How far a segment is. done: steps taken. loss: the sum of their losses, nats. wall_seconds, cpu_seconds: what it took.

    Losses are float32 and added up in float64, exactly: where a checkpoint falls does not change their sum.
    """

    done: int = 0
    loss: float = 0.0
    wall_seconds: float = 0.0
    cpu_seconds: float = 0.0

    def passed(self, clock: dict[str, float]) -> None:
        """Add a reading of the clock."""
        self.wall_seconds += clock["wall_seconds"]
        self.cpu_seconds += clock["cpu_seconds"]

    def seconds(self) -> dict[str, float]:
        """What the segment took until now."""
        return {"wall_seconds": round(self.wall_seconds, 3), "cpu_seconds": round(self.cpu_seconds, 3)}


class Diverged(GrowBenchError):
    """The loss is no finite number, or is far above what ignorance costs."""

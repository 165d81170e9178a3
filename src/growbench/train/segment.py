"""A segment: the steps of a run between two rows of its curve. A checkpoint may fall anywhere in it."""

from dataclasses import dataclass

from growbench.errors import GrowBenchError

READ = 20  # steps between two readings of the loss; each reading waits for the device


@dataclass
class Segment:
    """How far a run is within a segment.

    Losses are float32 and are added up in float64, which is exact: where a checkpoint falls does not change their sum.

    done: steps taken.
    loss: the sum of their losses, in nats.
    wall_seconds: spent on them.
    cpu_seconds: spent on them by all processes.
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
        """Return the seconds spent so far."""
        return {"wall_seconds": round(self.wall_seconds, 3), "cpu_seconds": round(self.cpu_seconds, 3)}


class Diverged(GrowBenchError):
    """The loss is not finite, or far above that of a uniform prediction."""

"""A leg: steps of one run between two rows of its curve. A checkpoint may fall anywhere in it."""

from dataclasses import dataclass

from growbench.errors import GrowBenchError

READ = 20  # steps between two looks at the loss: each look waits for the device


@dataclass
class Leg:
    """How far a leg is. done: steps taken. loss: sum of the losses read. unread: steps whose losses, `open` in all, were
    not read yet. wall_seconds, cpu_seconds: what it took before it was last interrupted. Losses in nats.

    `open` is the device's own sum, so that a leg which goes on adds up to the same number as one that was not interrupted.
    """

    done: int = 0
    loss: float = 0.0
    open: float = 0.0
    unread: int = 0
    wall_seconds: float = 0.0
    cpu_seconds: float = 0.0

    def passed(self, clock: dict[str, float]) -> None:
        """Add a reading of the clock."""
        self.wall_seconds += clock["wall_seconds"]
        self.cpu_seconds += clock["cpu_seconds"]

    def seconds(self) -> dict[str, float]:
        """What the leg took until now."""
        return {"wall_seconds": round(self.wall_seconds, 3), "cpu_seconds": round(self.cpu_seconds, 3)}


class Diverged(GrowBenchError):
    """The training loss is no finite number, or is far above what ignorance costs."""

    def __init__(self, step: int, loss: float) -> None:
        super().__init__(f"the training loss is {loss:.4g} at step {step}")

"""What bench/corpus.py says of memory over time."""

from collections.abc import Callable
from types import ModuleType


def test_memory_that_grows_is_told_from_memory_that_does_not(bench: Callable[[str], ModuleType]) -> None:
    watched = bench("corpus").Watched
    steady = watched(wall=2.0, cpu=1.0, memory=[90.0, 100.0, 95.0, 100.0, 80.0])
    assert steady.growth == 1.0 and steady.over_time(2) == [100.0, 100.0]
    grows = watched(wall=2.0, cpu=1.0, memory=[float(i) for i in range(1, 101)])
    assert grows.growth == 2.0
    assert grows.over_time(10) == [10.0 * i for i in range(1, 11)]
    assert max(grows.over_time(7)) == 100.0

"""Bracketing on constructed loss surfaces: what is tried, what is chosen, and when a search gives up."""

import math
from collections.abc import Callable

import pytest

from growbench.errors import GrowBenchError
from growbench.pipeline.search.bracket import Axis, Choice, Warmup, search, vertex

Surface = Callable[[float, Warmup], float | None]


class Asked:
    """A surface that remembers what it was asked."""

    def __init__(self, surface: Surface) -> None:
        self.surface, self.tried = surface, list[tuple[float, Warmup]]()

    def __call__(self, lr: float, warmup: Warmup) -> float | None:
        self.tried.append((lr, warmup))
        return self.surface(lr, warmup)


def bowl(lr: float, warmup: float = 100.0, tilt: float = 0.0) -> Surface:
    """Return a paraboloid in the logarithms with its lowest point here. tilt: of its axes, in (-2, 2)."""

    def loss(at: float, steps: Warmup) -> float:
        x = math.log2(at / lr)
        y = 0.0 if steps is None else math.log2(steps / warmup)
        return 5.0 + 0.01 * (x * x + y * y + tilt * x * y)

    return loss


def lrs(*start: float) -> Axis:
    return Axis(start, searched=True)


def warmups(*start: int, most: int = 10**6) -> Axis:
    return Axis(start, searched=True, whole=True, fits=lambda steps: steps <= most)


def trials(surface: Surface, rates: Axis, steps: Axis | None = None, most: int | None = None) -> tuple[Choice, Asked]:
    asked = Asked(surface)
    found = search(rates, steps, asked, most)
    assert len(asked.tried) == len(set(asked.tried)), "no trial is taken twice"
    return found, asked


@pytest.mark.parametrize("lowest", [1e-5, 2.3e-4, 1e-3, 1.7e-3, 3e-3, 0.1])
@pytest.mark.parametrize("start", [(1e-3,), (1e-3, 2e-3), (2e-3, 1e-3), (2.5e-4, 5e-4, 1e-3, 2e-3), (1e-4, 1.6e-3)])
def test_the_list_grows_until_a_worse_lr_lies_on_each_side(lowest: float, start: tuple[float, ...]) -> None:
    surface = bowl(lowest)
    found, asked = trials(surface, lrs(*start))
    tried = sorted(lr for lr, _ in asked.tried)
    assert [lr for lr, _ in asked.tried[: len(start)]] == list(start)
    best = min(tried, key=lambda lr: surface(lr, None) or 0.0)
    assert best / 2 in tried and 2 * best in tried, "both neighbors were tried"
    assert surface(best / 2, None) >= surface(best, None) <= surface(2 * best, None)  # type: ignore[operator]
    assert found.bracketed and found.lr == pytest.approx(lowest, rel=0.006), (
        "the vertex of a parabola is exact to 3 digits"
    )
    assert found.margin == pytest.approx(min(surface(x * best, None) for x in (0.5, 2.0)) - surface(best, None))  # type: ignore[operator, type-var]


@pytest.mark.parametrize(("lowest", "steps"), [(1e-3, 100), (4e-3, 100), (1e-3, 1600), (8e-3, 12), (2.5e-4, 400)])
@pytest.mark.parametrize("tilt", [0.0, 0.9, -0.9])
def test_lr_and_warmup_are_searched_until_neither_moves(lowest: float, steps: int, tilt: float) -> None:
    """On a tilted bowl the best LR depends on the warm-up: after the warm-up moved, the LR's neighbors are tried again."""
    surface = bowl(lowest, steps, tilt)
    found, asked = trials(surface, lrs(1e-3, 2e-3), warmups(100, 200))
    losses = {place: surface(*place) for place in asked.tried}
    best = min(losses, key=losses.__getitem__)
    assert found.bracketed and found.warmup == best[1] and best[0] / 1.42 <= found.lr <= best[0] * 1.42
    around = [(best[0] / 2, best[1]), (best[0] * 2, best[1])]
    around += [place for place in asked.tried if place[0] == best[0] and place[1] != best[1]]
    assert len(around) >= 4 and all(losses[place] > losses[best] for place in around)
    assert math.log2(found.warmup / steps) == pytest.approx(0, abs=1.1)
    first = [place for place in asked.tried if place[1] == 200][:2]
    assert asked.tried[:2] == first == [(1e-3, 200), (2e-3, 200)], "LRs come first, at the middle warm-up"


def test_a_moved_warmup_moves_the_lr() -> None:
    """With a longer warm-up a larger LR is best, as for a model that a short warm-up harms."""

    def surface(lr: float, steps: Warmup) -> float:
        assert steps is not None
        best = 1e-3 * steps / 100
        return 5.0 + 0.02 * math.log2(lr / best) ** 2 + 0.01 * abs(math.log2(steps / 400))

    found, asked = trials(surface, lrs(1e-3), warmups(100))
    assert (found.lr, found.warmup) == (pytest.approx(1e-3), 100), (
        "a ridge across both axes stops a search along the axes"
    )
    assert found.bracketed and len(asked.tried) == 5
    found, _ = trials(lambda lr, steps: surface(lr, steps) - 0.05 * math.log2(steps or 1), lrs(1e-3), warmups(100))
    assert found.warmup >= 400 and found.lr >= 3e-3  # type: ignore[operator]


def test_a_trial_that_diverges_is_worse_than_any_other() -> None:
    def cliff(lr: float, steps: Warmup) -> float | None:
        return None if lr > 2.5e-3 else 5.0 - lr

    found, asked = trials(cliff, lrs(1e-3, 2e-3))
    assert found.lr == 2e-3 and found.bracketed, "without a finite neighbor on each side there is no parabola"
    assert sorted(lr for lr, _ in asked.tried) == [1e-3, 2e-3, 4e-3] and found.margin == pytest.approx(1e-3)
    found, asked = trials(lambda lr, _: None if lr > 1e-4 else 5.0 - lr, lrs(1e-3, 2e-3))
    assert found.lr == 6.25e-5 and found.bracketed, "if all diverge, the search goes down"


def test_ties_are_passed_and_the_middle_of_a_plateau_is_chosen() -> None:
    def plateau(lr: float, _: Warmup) -> float:
        return 5.0 if 0.9e-3 < lr < 2.1e-3 else 5.5

    found, asked = trials(plateau, lrs(1e-3))
    assert sorted(lr for lr, _ in asked.tried) == [5e-4, 1e-3, 2e-3, 4e-3]
    assert found.margin == 0 and found.lr == pytest.approx(1e-3 * 2**0.5, rel=0.006)


def test_a_bound_of_the_warmup_stands_for_a_side() -> None:
    def sloped(sign: int) -> Surface:
        return lambda lr, steps: 5.0 + 0.01 * math.log2(lr / 1e-3) ** 2 + sign * 1e-4 * (steps or 0)

    found, asked = trials(sloped(1), lrs(1e-3), warmups(5))
    assert found.warmup == 1 and not found.bracketed, "one step is the shortest warm-up"
    assert {steps for _, steps in asked.tried if steps} == {5, 2, 1}
    found, asked = trials(sloped(-1), lrs(1e-3), warmups(5, most=30))
    assert found.warmup == 20 and not found.bracketed and found.margin > 0  # type: ignore[operator]


def test_what_is_fixed_is_not_searched() -> None:
    fixed = Axis((3e-3,), searched=False)
    found, asked = trials(bowl(1e-3, 400), fixed, warmups(100))
    assert found.lr == 3e-3 and found.warmup == 400 and {lr for lr, _ in asked.tried} == {3e-3}
    found, asked = trials(bowl(1e-3, 400), lrs(2e-3), Axis((50,), searched=False))
    assert found.lr == pytest.approx(1e-3) and {steps for _, steps in asked.tried} == {50} and found.warmup == 50
    assert trials(bowl(1e-3), lrs(2e-3))[0].warmup is None


def test_a_search_that_needs_more_trials_is_refused_in_one_line() -> None:
    with pytest.raises(
        GrowBenchError, match=r"search\.most: 4 trials do not bracket .* so far LR 0\.004; start"
    ) as caught:
        trials(bowl(1.0), lrs(1e-3), most=4)
    assert "\n" not in str(caught.value)
    with pytest.raises(GrowBenchError, match=r"all 4 trials diverge, down to LR 0\.000125; start"):
        trials(lambda lr, steps: None, lrs(1e-3), most=4)
    assert trials(bowl(1e-3), lrs(1e-3), most=3)[0].lr == 1e-3


def test_the_vertex_lies_within_half_a_step() -> None:
    assert vertex(1.0, 0.0, 1.0) == 0 and vertex(0.0, 0.0, 1.0) == -0.5 and vertex(1.0, 0.0, 0.0) == 0.5
    for x in (-0.4, 0.1, 0.49):
        assert vertex((-1 - x) ** 2, x**2, (1 - x) ** 2) == pytest.approx(x)
    assert vertex(None, 0.0, 1.0) == vertex(math.inf, 0.0, 1.0) == vertex(0.0, 0.0, 0.0) == 0

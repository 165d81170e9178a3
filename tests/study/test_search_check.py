"""The checks of a search and of warm-ups: one line each, before anything is spent."""

from typing import Any

import pytest
from support.tiny import study

from growbench.errors import GrowBenchError
from growbench.study import timeline
from growbench.study.search_check import Room
from growbench.study.timeline import Peak

SEARCH: dict[str, Any] = {"lrs": [1e-3, 2e-3], "warmups": [2, 4], "share": 0.5, "seed": 1000, "most": 24}


def made(**changes: Any) -> Any:
    search = {**SEARCH, **changes.pop("search", {})}
    return study(
        **{"methods": {"scratch": None, "stackbert": None}, "optimizer": {"warmup": 2}, "search": search, **changes}
    )


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"search": {"seed": 0}}, r"search\.seed: 0 is one of seeds, .* use another, such as 1000"),
        ({"search": {"seed": 1, "warmups": []}, "seeds": [0, 1]}, r"search\.seed: 1 is one of seeds, .* such as 1001"),
        ({"search": {"most": 4}}, r"search\.most: 4 trials cannot bracket: 2 LRs and 2 warm-ups .* at least 5"),
        ({"search": {"most": 2, "warmups": []}}, r"search\.most: 2 trials cannot bracket: .* at least 3"),
        ({"search": {"lrs": [1e-3, 3e-3]}}, r"search\.lrs: 0\.001 and 0\.003 are not a factor of 2.* such as 0\.001 and 0\.002"),
        ({"search": {"lrs": [1e-3, 1.05e-3]}}, r"search\.lrs: 0\.001 and 0\.00105 are not a factor of 2"),
        ({"search": {"lrs": [1e-3, 1e-3]}}, r"search\.lrs: 0\.001 appears twice"),
        ({"search": {"warmups": [4, 4]}}, r"search\.warmups: 4 appears twice"),
        ({"search": {"warmups": [2, 7]}}, r"search\.warmups: 2 and 7 are not a factor of 2"),
        ({"search": {"warmups": [4, 32]}}, r"search\.warmups: 32: scratch: warmup: 32 steps, .* the first point leaves the trunk"),
        ({"search": {"warmups": [8, 16], "share": 0.3}}, r"search\.warmups: 16: scratch: warmup: 16 steps, 1\.33 of the budget"),
        ({"search": {"warmups": [], "share": 0.1}, "optimizer": {"warmup": 10}}, r"search\.share: scratch: optimizer\.warmup: 10 steps"),
        ({"search": {"warmups": [0, 1]}}, r"search\.warmups\.0: 0 is not allowed; use an integer from 1 to"),
        ({"optimizer": {"warmup": 38}}, r"methods\.(scratch|stackbert): .*optimizer\.warmup: 38 steps, "),
        ({"methods": {"scratch": {"warmup": 38}}}, r"methods\.scratch: warmup: 38 steps, 0\.95 of the budget"),
        ({"methods": {"scratch": {"warmup": 2.5}}}, r"methods\.scratch\.warmup: 2\.5 is not allowed; use an integer"),
        ({"optimizer": {"warmup": 0.05}}, r"optimizer\.warmup: 0\.05 is not allowed; use an integer from 0 to \d+ or a mapping"),
        ({"optimizer": {"warmup": {"part": 0.05}}}, r"optimizer\.warmup\.part: unknown key"),
    ],
)  # fmt: skip
def test_a_search_that_cannot_work_is_refused_in_one_line(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(GrowBenchError, match=words) as caught:
        made(**changes)
    assert "\n" not in str(caught.value)


def test_older_searches_may_use_their_first_seed() -> None:
    assert made(search={"seed": 0, "warmups": []}).search.seed == 0
    assert made(search={"seed": 0, "lrs": [], "warmups": []}).trial_seed() is None, (
        "without a search its seed says nothing"
    )


def test_a_source_has_room_for_its_own_warmup() -> None:
    changes: dict[str, Any] = {"methods": {"scratch": None, "direct_copy": None}, "source": {"steps": 4}}
    with pytest.raises(GrowBenchError, match=r"optimizer\.warmup: 8 steps, 2 of the budget, is longer than the stage"):
        made(search={"lrs": [], "warmups": []}, optimizer={"warmup": 8}, **changes)
    made(search={"lrs": [], "warmups": []}, optimizer={"warmup": 2}, **changes)


def test_a_warmup_ends_before_the_first_point_of_a_run_and_of_a_trial() -> None:
    room = Room(made(), "scratch")
    assert not room.fault(16) and "first point" in room.fault(17), "a trial has 20 steps and leaves its trunk after 17"
    assert not room.fault(None)


def test_a_warmup_in_steps_costs_what_its_own_stage_costs() -> None:
    """After a growth that warms up again, it takes as many steps of the grown model."""
    line = timeline.of(made(), "stackbert")
    assert line.warmup(0) == 2 * line.costs[0].flops < line.warmup(1) == 2 * line.costs[1].flops
    longer = line.at(Peak(warmup=3))
    assert longer.warmup(1) == 3 * line.costs[1].flops and longer.at(Peak()).warmup(1) == longer.warmup(1)
    share = timeline.of(made(optimizer={"warmup": {"share": 0.05}}, search={"warmups": []}), "stackbert")
    assert share.warmup(0) == share.warmup(1) == pytest.approx(0.05 * share.budget)
    longer = timeline.of(study(methods={"scratch": None, "source_longer": None}), "source_longer")
    assert longer.budget > timeline.of(longer.study, "scratch").budget
    assert longer.warmup(0) == pytest.approx(0.04 * longer.budget), "a share is of the run's own budget"


def test_a_warmup_goes_on_through_stages_that_continue_it() -> None:
    """bert2BERT's first stage, of two steps, is shorter than the warm-up: the first steps of the plan count."""
    changes: dict[str, Any] = {"search": {"lrs": [], "warmups": []}, "optimizer": {"warmup": 6}}
    line = timeline.of(made(methods={"scratch": None, "bert2bert": None}, **changes), "bert2bert")
    first = line.plan.stages[0].until * line.budget
    assert line.continued(0) == 1 and first < 6 * line.costs[0].flops
    steps = first / line.costs[0].flops
    assert line.warmup(0) == pytest.approx(first + (6 - steps) * line.costs[1].flops)


@pytest.mark.parametrize("protocol", ["trunk", "paper"])
def test_a_growth_that_warms_up_again_does_so_for_as_many_steps(protocol: str) -> None:
    whole = made(
        methods={"scratch": None, "staged": None}, budget={"protocol": protocol}, search={"lrs": [], "warmups": []}
    )
    line = timeline.of(whole, "staged")
    number = next(i for i, stage in enumerate(line.plan.stages) if i and stage.lr != "continue")
    began, cost = line.plan.start(number) * line.budget, line.costs[number].flops
    again = line.schedule(number, began)
    shares = [
        again.lr_of_step(began, cost, step) / again._curve(again._place(began + step * cost), cost) for step in range(4)
    ]
    assert shares == pytest.approx([0.5, 1.0, 1.0, 1.0])
    assert line.grown() == pytest.approx(max(line.plan.start(number) + 2 * cost / line.budget, line.plan.settled(0.0)))

"""Check that the search of a study can bracket: its seed, its first values, its number of trials, its warm-ups."""

import math
from collections.abc import Sequence

from growbench.errors import GrowBenchError
from growbench.study import plan_check, timeline
from growbench.study.study import Study
from growbench.study.timeline import CONFIGURED, Peak

SPACING = 0.1  # how far the logarithm of a factor may be from a whole power of 2: halves of whole numbers are rounded


def check(study: Study) -> None:
    """Raise GrowBenchError if the search of a study cannot work."""
    search = study.search
    if not search.wanted:
        return
    _check_seed(study)
    for key, values in (("lrs", search.lrs), ("warmups", search.warmups)):
        _check_spacing(key, values)
    least = (max(3, len(search.lrs)) if search.lrs else 1) + (max(2, len(search.warmups) - 1) if search.warmups else 0)
    if search.most < least:
        raise GrowBenchError(
            f"search.most: {search.most} trials cannot bracket: {len(search.lrs)} LRs and {len(search.warmups)} warm-ups to "
            f"start with need at least {least}; allow more, or start with fewer"
        )
    for name in (name for name in study.trained() if study.searched(name)):
        room, (_, searched) = Room(study, name), study.searches(name)
        for steps in search.warmups if searched else (None,):
            if fault := room.fault(steps):
                key = "search.share" if steps is None else f"search.warmups: {steps}"
                raise GrowBenchError(f"{key}: {name}: {fault}")


class Room:
    """The trials of a method, and the runs that its search tunes: in all, a warm-up must end before a point leaves the trunk."""

    def __init__(self, study: Study, name: str) -> None:
        tuned = [other for other in study.trained() if study.tuner(other) == name]
        self.runs = (*(timeline.of(study, other) for other in tuned), timeline.trial(study, name))

    def fault(self, steps: int | None) -> str:
        """Return why a warm-up does not fit, in words; empty if it does. steps: None for the config's."""
        peak = CONFIGURED if steps is None else Peak(warmup=steps)
        try:
            for run in self.runs:
                plan_check.check_warmups(run.at(peak))
        except GrowBenchError as error:
            return str(error)
        return ""


def _check_seed(study: Study) -> None:
    """Raise GrowBenchError if what chooses is also reported, except as the searches of older studies did."""
    search, seeds = study.search, study.seeds
    if search.seed in seeds and (search.warmups or search.seed != seeds[0]):
        raise GrowBenchError(
            f"search.seed: {search.seed} is one of seeds, so that what is reported would also choose; use another, such as "
            f"{max(seeds) + 1000} (older studies without search.warmups may use their first seed)"
        )


def _check_spacing(key: str, values: Sequence[float]) -> None:
    """Raise GrowBenchError unless the first values of a search lie on one grid."""
    for value in values[1:]:
        power = math.log2(value / values[0])
        if round(power) == 0 or abs(power - round(power)) > SPACING:
            raise GrowBenchError(
                f"search.{key}: {values[0]:g} and {value:g} are not a factor of 2, 4, 8, ... apart; the search goes by "
                f"factors of 2, so use values such as {values[0]:g} and {2 * values[0]:g}"
            )

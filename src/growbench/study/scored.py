"""Which finished points of a method are scored without fine-tuning."""

from growbench.study import timeline
from growbench.study.study import Study, point_name


def points(study: Study, method: str) -> tuple[str, ...]:
    """Return the names of these points: of those that the method has, the ones of zeroshot.points; all if that is null."""
    names = map(point_name, timeline.of(study, method).points)
    chosen = None if study.zeroshot.points is None else set(map(point_name, study.zeroshot.points))
    return tuple(name for name in names if chosen is None or name in chosen)

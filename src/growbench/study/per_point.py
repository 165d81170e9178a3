"""One run per finished point for a method that grows at shares of its budget (budget.per_point).

Such a method has grown at the same FLOPs at all of its points, so that only the last point shows it as published. With
`per_point` it becomes one variant per point, whose whole budget is that point's.
"""

from dataclasses import replace
from typing import Any

from growbench.errors import GrowBenchError
from growbench.study import plan_check, timeline
from growbench.study.study import Study, point_name

LONGEST = 40  # letters of a name


def expanded(study: Study) -> Study:
    """Return the study with its variants by point. A point whose budget is too small for the plan is left out, with the reason.

    Raises GrowBenchError if the largest is, if such a point is fine-tuned or scored, or if a variant's name is taken.
    """
    methods: dict[str, dict[str, Any]] = {}
    left_out = dict(study.left_out)
    for name, options in study.methods.items():
        if not _grows_at_shares(study, name):
            methods[name] = options
            continue
        variants = _variants(study, name)
        reasons = {variant: _unfit(study, variant, own) for variant, own in variants.items()}
        methods |= {variant: own for variant, own in variants.items() if not reasons[variant]}
        _check_asked(study, name, variants, reasons)
        left_out |= {variant: reason for variant, reason in reasons.items() if reason}
    return replace(study, methods=methods, left_out=left_out)


def _grows_at_shares(study: Study, name: str) -> bool:
    """Return whether a method has several stages inside its own budget, and no budget of its own already."""
    if study.method(name).needs_source or study.options(name)["budget"] is not None:
        return False
    return len(timeline.of(study, name).plan.stages) > 1


def _variants(study: Study, name: str) -> dict[str, dict[str, Any]]:
    """Return the options of a method's variants by their names, in the order of the points."""
    found = {}
    for point in (share for share in study.budget.shares if share > 0):
        variant = f"{name}_{point_name(point)}"
        if variant in study.methods:
            raise GrowBenchError(f"methods.{variant}: budget.per_point makes a run of this name; rename it")
        if len(variant) > LONGEST:
            raise GrowBenchError(
                f"methods.{name}: budget.per_point makes {variant} of it, and a name has at most {LONGEST} letters; shorten it"
            )
        found[variant] = {"of": study.method(name).name, **study.methods[name], "budget": point}
    return found


def _unfit(study: Study, variant: str, options: dict[str, Any]) -> str:
    """Return why a variant's plan does not fit into its budget; empty if it does."""
    alone = replace(study, methods={**study.methods, variant: options})
    try:
        plan_check.check(alone, variant, timeline.of(alone, variant))
    except GrowBenchError as error:
        return str(error)
    return ""


def _check_asked(study: Study, name: str, variants: dict[str, dict[str, Any]], reasons: dict[str, str]) -> None:
    """Raise GrowBenchError if a variant that does not fit is the last one, or is to be evaluated; name the smallest that fits."""
    fitting = [variants[variant]["budget"] for variant, reason in reasons.items() if not reason]
    remedy = f"use at least {min(fitting):.4g}" if fitting else "use a larger budget"
    asked = {"finetune": study.finetune.points, "zeroshot": study.zeroshot.points or ()}
    asked = {"budget": study.budget.shares[-1:], **asked}
    for section, points in asked.items():
        for variant in (f"{name}_{point_name(point)}" for point in points):
            if reasons.get(variant):
                raise GrowBenchError(
                    f"{section}.points: {variants[variant]['budget']:.4g} of the budget is too little for {name} "
                    f"({reasons[variant]}); {remedy}"
                )

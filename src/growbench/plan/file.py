"""Read a plan back from the JSON that `growbench plan --json` prints."""

import json
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any, get_args, get_type_hints

from growbench.errors import GrowBenchError, nearest
from growbench.plan.plan import ENTERS, POLICIES, RATES, Plan, Stage
from growbench.spec import ModelSpec

LARGEST = 1e9
WORDS = {"enter": ENTERS, "optimizer": POLICIES, "lr": RATES}
LEAST = {
    **dict.fromkeys(("until", "shift", "mask", "teacher"), 0), **dict.fromkeys(("pool", "cut", "top", "block"), 1),
    "rank": 1e-6, "temperature": 1e-3,
}  # fmt: skip
MOST = {"until": 1, "mask": 1, "teacher": 1, "slope": 0, "rank": 1}


def read(path: str | Path, name: str, of: str) -> Plan:
    """Return the plan in a file: a list of stages, or what `growbench plan --json` prints. Of that, the row of `name` is taken,
    or of the method `of` that it is a variant of.

    Raises GrowBenchError, one line with file, stage, key, value and what is allowed.
    """
    try:
        values = json.loads(Path(path).read_text(encoding="utf-8"), object_pairs_hook=_unique)
    except (OSError, ValueError, RecursionError) as error:
        reason = getattr(error, "strerror", None) or f"not JSON: {error}"
        raise GrowBenchError(
            f"methods.{name}.plan: {path}: {reason}; give a file that `growbench plan --json` printed"
        ) from error
    try:
        return from_list(_stages(values, name, of))
    except GrowBenchError as error:
        raise GrowBenchError(f"methods.{name}.plan: {path}: {error}") from error


def from_list(values: list[Any]) -> Plan:
    """Return the plan that Plan.to_list() gave, every value checked."""
    return Plan(stages=tuple(_stage(number, value) for number, value in enumerate(values)))


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    for key, _ in pairs:
        if sum(key == other for other, _ in pairs) > 1:
            raise ValueError(f"{key} stands there twice")
    return dict(pairs)


def _stages(values: Any, name: str, of: str) -> list[Any]:
    rows = values if isinstance(values, list) else [values]
    named = [row for row in rows if isinstance(row, dict) and "plan" in row]
    if named:
        fitting = [row for key in (name, of) for row in named if row.get("method") == key]
        fitting = fitting or (named if len(named) == 1 else [])
        if not fitting:
            known = ", ".join(str(row.get("method")) for row in named)
            raise GrowBenchError(
                f"no plan of {name} is in it, but of {known}; name one of these, or keep its plan only"
            )
        rows = fitting[0]["plan"]
    if not isinstance(rows, list) or not rows:
        raise GrowBenchError("not a list of stages; give a file that `growbench plan --json` printed")
    return rows


def _stage(number: int, values: Any) -> Stage:
    if not isinstance(values, dict):
        raise GrowBenchError(f"stage {number}: {values!r} is not a stage; use keys and values")
    known = {field.name: field for field in fields(Stage)}
    for key, value in values.items():
        if key not in known:
            raise GrowBenchError(f"stage {number}: {key}: unknown key; {nearest(key, known)}")
        if key != "spec":
            _check(f"stage {number}: {key}", key, value)
    for key, field in known.items():
        if key not in values and field.default is MISSING:
            raise GrowBenchError(f"stage {number}: {key}: missing; give it a value")
    spec = values["spec"]
    try:
        if not isinstance(spec, dict):
            raise GrowBenchError(f"spec: {spec!r} is not a shape; use layers, hidden, ...")
        return Stage(**{**values, "spec": ModelSpec.from_dict(spec)})
    except GrowBenchError as error:
        raise GrowBenchError(f"stage {number}: {error}") from error


def _check(where: str, key: str, value: Any) -> None:
    """Raise unless a value has the type of the stage's field and lies within its bounds."""
    if key in WORDS:
        if value not in WORDS[key]:
            raise GrowBenchError(f"{where}: {value!r} is not allowed; {nearest(str(value), WORDS[key])}")
        return
    if key == "shared":
        if not isinstance(value, bool):
            raise GrowBenchError(f"{where}: {value!r} is not allowed; use true or false")
        return
    hint = get_type_hints(Stage)[key]
    kinds = get_args(hint) or (hint,)
    if value is None and type(None) in kinds:
        return
    whole, low, high = int in kinds, LEAST.get(key), MOST.get(key)
    fits = isinstance(value, int) if whole else isinstance(value, int | float)
    low_, high_ = float("-inf") if low is None else low, float("inf") if high is None else high
    if not fits or isinstance(value, bool) or not low_ <= value <= high_ or abs(value) > LARGEST:
        bounds = f" from {low}" * (low is not None) + f" to {high}" * (high is not None)
        raise GrowBenchError(f"{where}: {value!r} is not allowed; use a {'whole ' * whole}number{bounds}")

"""Read a plan back from the JSON that `growbench plan --json` prints."""

import json
from collections.abc import Sequence
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

from growbench.errors import GrowBenchError, nearest
from growbench.plan.plan import Plan, Stage
from growbench.spec import ModelSpec


def read(path: str | Path, name: str, *of: str) -> Plan:
    """Return the plan in a file: a list of stages, or what `growbench plan --json` prints.

    name: the method whose row is taken. of: the methods that it is a variant of, in order; the first row is taken if `name`
        has none.
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
        return from_list(_stages(values, (name, *of)))
    except GrowBenchError as error:
        raise GrowBenchError(f"methods.{name}.plan: {path}: {error}") from error


def from_list(values: list[Any]) -> Plan:
    """Return the plan that Plan.to_list() gave, with every value checked."""
    return Plan(stages=tuple(_stage(number, value) for number, value in enumerate(values)))


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    for key, _ in pairs:
        if sum(key == other for other, _ in pairs) > 1:
            raise ValueError(f"{key} appears twice")
    return dict(pairs)


def _stages(values: Any, names: Sequence[str]) -> list[Any]:
    rows = values if isinstance(values, list) else [values]
    named = [row for row in rows if isinstance(row, dict) and "plan" in row]
    if named:
        fitting = [row for key in names for row in named if row.get("method") == key]
        fitting = fitting or (named if len(named) == 1 else [])
        if not fitting:
            known = ", ".join(str(row.get("method")) for row in named)
            raise GrowBenchError(
                f"it has no plan of {names[0]}, only of {known}; rename one of these, or keep only its plan"
            )
        rows = fitting[0]["plan"]
    if not isinstance(rows, list) or not rows:
        raise GrowBenchError("not a list of stages; give a file that `growbench plan --json` printed")
    return rows


def _stage(number: int, values: Any) -> Stage:
    if not isinstance(values, dict):
        raise GrowBenchError(f"stage {number}: {values!r} is not a stage; use a mapping (key: value)")
    known = {field.name: field for field in fields(Stage)}
    for key in values:
        if key not in known:
            raise GrowBenchError(f"stage {number}: {key}: unknown key; {nearest(key, known)}")
    for key, field in known.items():
        if key not in values and field.default is MISSING:
            raise GrowBenchError(f"stage {number}: {key}: missing; give it a value")
    spec = values["spec"]
    try:
        if not isinstance(spec, dict):
            raise GrowBenchError(f"spec: {spec!r} is not a shape; use a mapping with layers, hidden and so on")
        return Stage(**{**values, "spec": ModelSpec.from_dict(spec)})
    except GrowBenchError as error:
        raise GrowBenchError(f"stage {number}: {error}") from error

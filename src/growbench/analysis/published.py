"""Published savings, printed beside ours: only values of grade S (full text or code read) or S2 (second hand)."""

import csv
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from growbench import families

GRADES = ("S", "S2")
SCALES = {"%": 0.01, "score x100": 0.01, "1e19": 1e19}
UNNAMED = {
    "bert2BERT": "mlm",
    "LiGO": "mlm",
    "AquilaMoE": "clm",
    "G_stack": "clm",
    "Weight selection": "classification",
}
"""By paper, what its models predict where a setting names no architecture."""


@cache
def rows() -> tuple[dict[str, str], ...]:
    """Return the committed published values as dicts, one per row, with the header's keys."""
    with open(Path(__file__).with_name("published.csv"), encoding="utf-8", newline="") as handle:
        return tuple(row for row in csv.DictReader(handle) if row["grade"] in GRADES)


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """What a paper prints for one method in one setting.

    method: as the paper's row is named here.
    setting: models and budget.
    where: paper, artefact and setting.
    grade: S (read in the paper or its code) or S2 (second hand).
    values: by metric; shares as 0 to 1, FLOPs as FLOPs, losses in nats.
    """

    method: str
    setting: str
    where: str
    grade: str
    values: dict[str, float]


def entries(paper: str, *artefacts: str, objective: str) -> list[Entry]:
    """Return the entries of a paper's artefacts (all of them without names) in the file's order.

    objective: of the study's family; entries about models of another objective are left out.
    """
    found: dict[tuple[str, str, str], list[dict[str, str]]] = {}
    for row in rows():
        wanted = row["paper"].split(" (")[0] == paper and (not artefacts or row["artefact"] in artefacts)
        if wanted and objective in objectives(row):
            found.setdefault((row["artefact"], row["setting"], row["method"]), []).append(row)
    return [_entry(group) for group in found.values()]


def of_images(objective: str) -> list[Entry]:
    """Return the comparisons on DeiT, LiGO's and then Mango's; none unless the study's objective is classification."""
    found = (("LiGO", "DeiT table"), ("Mango", "comparison", "abstract"))
    return [entry for own in found for entry in entries(*own, objective=objective)]


def _entry(group: list[dict[str, str]]) -> Entry:
    first = group[0]
    return Entry(
        method=first["method"],
        setting=first["setting"],
        where=f"{first['paper']}, {first['artefact']}: {first['setting']}",
        grade=max(row["grade"] for row in group),
        values={row["metric"]: float(row["value"]) * SCALES.get(row["unit"], 1.0) for row in group},
    )


def named(name: str, method: str) -> bool:
    """Whether a published name is this method's: `bert2bert (AKI + two-stage)` is bert2bert's."""
    return method in (name, name.split(" (")[0]) or name.endswith(f"({method})")


def about(setting: str, family: str) -> bool:
    """Whether a setting names a family's architecture. A setting that names none is about no family."""
    return any(re.search(rf"(?<![A-Za-z]){re.escape(word)}", setting) for word in families.load(family).published)


def objectives(row: Mapping[str, str]) -> set[str]:
    """Return the objectives of the architectures that a row's setting names, or of its paper if it names none."""
    named: set[str] = {family.objective for family in families.loaded() if about(row["setting"], family.name)}
    return named or {UNNAMED.get(row["paper"].split(" (")[0], "")}


def savings(method: str, family: str) -> list[str]:
    """Return the published savings of a method for a family of models, one string each; empty if there are none.

    Form: value and unit (metric, accounting; paper, artefact, setting, variant) [grade].
    """
    found = []
    for row in rows():
        if not named(row["method"], method) or not about(row["setting"], family):
            continue
        metric = row["metric"]
        if not (metric.startswith("FLOPs saved") or "speed-up" in metric):
            continue
        what = ", ".join(x for x in (metric, row["accounting"]) if x)
        variant = "" if row["method"] == method else f"{row['method']}, "
        where = f"{row['paper']}, {row['artefact']}: {variant}{row['setting']}"
        found.append(f"{row['value']} {row['unit']} {what} ({where}) [{row['grade']}]")
    return found

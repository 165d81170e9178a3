"""Published savings, printed beside ours: only values of grade S (full text or code read) or S2 (second hand)."""

import csv
from functools import cache
from pathlib import Path

GRADES = ("S", "S2")
FAMILIES = {"bert": ("BERT",), "roberta": ("RoBERTa",), "gpt2": ("GPT",), "vit": ("DeiT", "ViT", "CaiT", "Vision")}


@cache
def rows() -> tuple[dict[str, str], ...]:
    """Return the committed published values as dicts, one a row, with the header's keys."""
    with open(Path(__file__).with_name("published.csv"), encoding="utf-8", newline="") as handle:
        return tuple(row for row in csv.DictReader(handle) if row["grade"] in GRADES)


def _is(row: dict[str, str], method: str) -> bool:
    name = row["method"]
    return method in (name, name.split(" (")[0]) or name.endswith(f"({method})")


def _fits(setting: str, family: str) -> bool:
    words = FAMILIES.get(family)
    if words is None:
        return True
    return any(setting.startswith(word) or f" {word}" in setting or f"-{word}" in setting for word in words)


def savings(method: str, family: str) -> list[str]:
    """Return the published savings of a method for a family of models, one text each:
    value and unit (metric, accounting; paper, artefact, setting, variant) [grade]. Empty when there is none.
    """
    found = []
    for row in rows():
        if not _is(row, method) or not _fits(row["setting"], family):
            continue
        metric = row["metric"]
        if not (metric.startswith("FLOPs saved") or "speed-up" in metric):
            continue
        what = ", ".join(x for x in (metric, row["accounting"]) if x)
        variant = "" if row["method"] == method else f"{row['method']}, "
        where = f"{row['paper']}, {row['artefact']}: {variant}{row['setting']}"
        found.append(f"{row['value']} {row['unit']} {what} ({where}) [{row['grade']}]")
    return found

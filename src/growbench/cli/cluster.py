"""What a study costs on a cluster: its longest chain of jobs, its disk as it fills, and what a preemption costs."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from growbench.cli.tables import amount
from growbench.spec import SOURCE
from growbench.study.study import Study

START = 60.0  # seconds from the start of a job to its first step: Snakemake twice, imports, the last checkpoint
HOUR = 3600.0


def lines(study: Study, rows: Sequence[Mapping[str, Any]], hours: Mapping[str, float]) -> Iterator[str]:
    """Yield lines on a study whose runs are jobs. rows: of pipeline/forecast.py. hours: of one run, by method."""
    chains = {row["method"]: chain(study, row, rows, hours) for row in rows if row["method"] != SOURCE}
    if not chains:
        return
    last = max(chains, key=lambda name: chains[name])
    row = next(row for row in rows if row["method"] == last)
    steps = [f"search of {last}" * bool(row["search_flops"]), last]
    if study.reads_source(last):
        steps.insert(0, SOURCE)
    whole = sum(hours[row["method"]] * len(row["seeds"]) + _search(row, hours) for row in rows)
    yield f"Longest chain of jobs: {', then '.join(filter(None, steps))}: {chains[last]:.3g} hours"
    most = math.ceil(whole / chains[last])
    yield f"All runs one after the other: {whole:.3g} hours; more than {most} at a time cannot end sooner"
    disk = sum(row["disk_bytes"] * len(row["seeds"]) for row in rows)
    yield (
        f"Disk fills by up to {amount(max(row['disk_bytes'] for row in rows))}B with each run, {amount(24 * disk / whole)}B a day "
        "with one run at a time"
    )
    yield (
        f"A preemption costs {START / 60:g} minute(s) of {study.train.ranks} process(es) after SIGTERM, and up to "
        f"{study.train.checkpoint_seconds / 60:.2g} more without"
    )


def chain(study: Study, row: Mapping[str, Any], rows: Sequence[Mapping[str, Any]], hours: Mapping[str, float]) -> float:
    """Return the hours from the first job to the end of a method's last run if no job waits: source, search, run.

    One job trains all seeds of a method if train.together says so.
    """
    several = len(study.seeds) if study.train.together else 1
    own = several * hours[row["method"]] + _search(row, hours)
    if not study.reads_source(row["method"]):
        return own
    source = next(other for other in rows if other["method"] == SOURCE)
    return own + several * hours[SOURCE] + _search(source, hours)


def _search(row: Mapping[str, Any], hours: Mapping[str, float]) -> float:
    """Return the hours of a method's search, whose steps take as long as the run's; a checkpoint takes no steps."""
    if not row["search_flops"]:
        return 0.0
    return float(hours[row["method"]] * row["search_flops"] / row["flops"])

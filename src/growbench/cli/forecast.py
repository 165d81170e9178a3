"""growbench plan: the forecast of a study as a table, one row per method, and its stages on request."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from typing import Any

from growbench.cli import cluster
from growbench.cli.speed import Speed
from growbench.cli.tables import amount, table
from growbench.pipeline.corpus import validated
from growbench.pipeline.corpus.encoded import dtype_of
from growbench.plan.plan import Stage
from growbench.spec import SOURCE
from growbench.study.study import Study

HOUR = 3600.0
FEW = 5  # tokens per parameter below which a model is far from trained
HEAD = ("method", "stages", "parameters", "tokens", "per parameter", "FLOPs", "of scratch", "hours", "disk")
SPECIAL = {  # how a stage's special settings are worded
    "top": "top {} learn",
    "block": "blocks of {}",
    "pool": "embeddings pooled by {}",
    "cut": "1/{} of a sequence",
    "rank": "FFN factors of rank {:g}",
    "shared": "attention shared",
    "mask": "masks lifted over {:g}",
    "teacher": "the source as teacher at {:g}",
    "slope": "or until the slope is {:g}",
}
Row = Mapping[str, Any]


def lines(study: Study, rows: Sequence[Row], speed: Speed, stages: bool = False) -> Iterator[str]:
    """Yield the forecast: a table, notes on it, and the totals of the study.

    rows: of pipeline/forecast.py. speed: of a GPU. stages: add every method's stages.
    """
    scratch = next((row["flops"] for row in rows if row["method"] == "scratch"), None)
    yield f"Study {study.study}: what one seed of each method costs"
    yield ""
    yield table(HEAD, {"": [_cells(study, row, scratch, speed) for row in rows]}, width=120)
    yield ""
    yield _hours(study, rows, speed)
    yield "Per parameter: tokens that the last finished model has read, by all parameters of its model"
    yield from _points(study, rows)
    yield from validated.lines(study)
    if study.left_out:
        yield ""
        yield table(("left out", "why it is no run of this study"), {"": study.left_out.items()}, left=2)
    if stages:
        for row in rows:
            yield ""
            yield from _stages(row)
    yield ""
    yield from _totals(study, rows, speed)
    yield from cluster.lines(study, rows, {row["method"]: _hours_of(study, row, speed) for row in rows})


def _cells(study: Study, row: Row, scratch: float | None, speed: Speed) -> list[str]:
    return [
        row["method"],
        str(len(row["plan"])),
        amount(row["stages"][-1]["parameters"]),
        amount(row["tokens"]),
        f"{row['tokens_per_parameter']:.3g}",
        f"{row['flops']:.4g}",
        "-" if scratch is None else f"{row['flops'] / scratch:.2f}",
        f"{_hours_of(study, row, speed):.2g}",
        f"{amount(row['disk_bytes'])}B",
    ]


def _hours_of(study: Study, row: Row, speed: Speed) -> float:
    """Hours of one run: timed on this machine, or at the speed of the study's GPUs."""
    seconds: float = row["seconds"] if row["seconds"] is not None else speed.seconds(row, study.train.ranks)
    return seconds / HOUR


def _hours(study: Study, rows: Sequence[Row], speed: Speed) -> str:
    if all(row["seconds"] is not None for row in rows):
        return f"Hours: one run on this machine with {study.train.threads} thread(s), from steps timed now"
    return f"Hours: one run on {study.train.ranks} GPU(s), each at {speed}"


def _points(study: Study, rows: Sequence[Row]) -> Iterator[str]:
    """Yield where finished models lie, which methods lack some of them, and whether the target reads too little."""
    given = study.budget.tokens_per_parameter
    exact = (
        "" if given is None else f": {', '.join(f'{ratio:g}' for ratio in given)} tokens per parameter of the target"
    )
    yield f"Finished models at {_shares(study.budget.shares)} of the budget{exact}"
    for row in rows:
        if row["method"] != SOURCE and len(row["points"]) < len(study.points_of(row["method"])):
            why = "its last stage starts after the other points"
            if study.budget.total and study.method(row["method"]).needs_source:
                why = "the other points lie before its last stage, or below what its source costs"
            yield f"  {row['method']}: only at {_shares(row['points'])}; {why}"
    for row in rows:
        if row["method"] == "scratch" and (ratio := row["tokens_per_parameter"]) < FEW:
            yield f"Warning: a target at {ratio:.2g} tokens per parameter; this says little about well-trained models"


def _shares(points: Sequence[float]) -> str:
    return ", ".join(f"{point:.4g}" if round(point, 4) != point else str(point) for point in points)


def sums(planned: Sequence[tuple[Study, Sequence[Row]]], speed: Speed) -> Iterator[str]:
    """Yield what several studies cost together. planned: each study with its rows."""
    yield f"All {len(planned)} studies: {_priced(planned, speed)}"
    hours = [_core_hours(study, rows) for study, rows in planned]
    known = [value for value in hours if value is not None]
    if len(known) == len(hours):
        yield f"Core-hours of all {len(planned)} studies on this machine, the searches included: {sum(known):.3g}"


def _totals(study: Study, rows: Sequence[Row], speed: Speed) -> Iterator[str]:
    """Yield what all runs of all seeds and the search cost: FLOPs, time, and disk."""
    disk = sum(row["disk_bytes"] * len(row["seeds"]) for row in rows)
    if search := sum(row["search_flops"] for row in rows):
        most = max(row["trials"] for row in rows)
        yield f"Search: an estimated {most} trials of a method with seed {study.search.seed}, {search:.4g} FLOPs in all"
    seeds = f"seed {study.seeds[0]}" if len(study.seeds) == 1 else f"seeds {', '.join(map(str, study.seeds))}"
    yield f"All runs ({seeds}): {_priced([(study, rows)], speed)}"
    if (cores := _core_hours(study, rows)) is not None:
        total = sum(row["seconds"] * len(row["seeds"]) for row in rows)
        yield f"Training on this machine: {total / 60:.1f} minutes with one run at a time"
        yield f"Core-hours on this machine, the search included: {cores:.3g}"
    tokens, size = study.corpus.max_tokens, dtype_of(study.corpus.vocab).itemsize
    if study.images is not None:
        tokens, size = study.images.most, study.images.pixels.channels * study.images.size**2
    corpus = "the corpus (its size is not limited)" if tokens is None else f"at most {amount(size * tokens)}B of corpus"
    yield f"Disk: {corpus}, {amount(disk)}B of runs"


def finetuning(study: Study, rows: Sequence[Row], flops: float | None) -> Iterator[str]:
    """Yield what all fine-tunings cost, if it is known; the hours are those at which scratch's steps were timed."""
    if not flops:
        return
    scratch = next((row for row in rows if row["method"] == "scratch" and row["seconds"]), None)
    hours = ""
    if scratch is not None:
        cores = scratch["seconds"] * study.train.threads * study.train.ranks / scratch["flops"]
        hours = f", {flops * cores / HOUR:.3g} core-hours on this machine at the speed of scratch's steps"
    yield f"Fine-tuning on {', '.join(study.tasks.names)} (all models and seeds): about {flops:.4g} FLOPs{hours}"


def _flops(rows: Sequence[Row]) -> float:
    """Return the FLOPs of all seeds and the search."""
    return float(sum(row["flops"] * len(row["seeds"]) + row["search_flops"] for row in rows))


def _priced(planned: Sequence[tuple[Study, Sequence[Row]]], speed: Speed) -> str:
    """Return the FLOPs and the GPU-days of studies in words."""
    flops = sum(_flops(rows) for _, rows in planned)
    seconds = sum(
        speed.seconds(row, study.train.ranks) * study.train.ranks * _runs(row)
        for study, rows in planned
        for row in rows
    )
    return f"{flops:.4g} FLOPs, {seconds / (24 * HOUR):.4g} GPU-days at {speed}"


def _runs(row: Row) -> float:
    """Return how many runs of a method the seeds and the search are worth; a checkpoint is not trained."""
    return len(row["seeds"]) + row["search_flops"] / row["flops"] if row["flops"] else 0.0


def _core_hours(study: Study, rows: Sequence[Row]) -> float | None:
    """Return the hours of all cores for all seeds and the search; None if steps were not timed."""
    if any(row["seconds"] is None for row in rows):
        return None
    return sum(_core_seconds(study, row) for row in rows) / HOUR


def _core_seconds(study: Study, row: Row) -> float:
    """Return the seconds of all cores for all seeds of a method and its search, whose steps take as long as the run's."""
    return float(row["seconds"] * _runs(row) * study.train.threads * study.train.ranks)


def _stages(row: Row) -> Iterator[str]:
    """Yield a method's totals by phase, and one line for each stage."""
    grow, trunk, cooldown = (row["phases"][phase] for phase in ("grow", "trunk", "cooldown"))
    learned = f"operator {grow['flops']:.4g} FLOPs in {grow['steps']} steps, " if grow["steps"] else ""
    yield (
        f"{row['method']}: {row['steps']} steps; {learned}trunk {trunk['flops']:.4g} FLOPs, cool-downs {cooldown['flops']:.4g}; "
        f"in ELECTRA's convention {trunk['flops_electra']:.4g} and {cooldown['flops_electra']:.4g}"
    )
    yield from map(_stage, row["plan"], row["stages"])


def _stage(stage: Row, told: Row) -> str:
    """One stage: when, which model, how it is entered, what is special about it, what learns, and what it costs."""
    usual = {field.name: field.default for field in fields(Stage)}
    words = [f", {text.format(stage[key])}" for key, text in SPECIAL.items() if stage[key] != usual[key]]
    shift = f" by {stage['shift']:.3g}" if stage["lr"] == "shift" else ""
    return (
        f"    {told['start']:.4g} to {stage['until']:.4g} of the budget: ({stage['spec']['layers']}, {stage['spec']['hidden']}), "
        f"enter by {stage['enter']}{''.join(words)}; {amount(told['learning'])} of {amount(told['parameters'])} parameters "
        f"learn; optimizer {stage['optimizer']}, LR {stage['lr']}{shift}; {told['flops']:.4g} FLOPs"
    )

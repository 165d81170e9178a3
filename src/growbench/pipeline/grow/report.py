"""The report of one growth: as a mapping for programs, and in a few lines for people."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from growbench.errors import shown
from growbench.pipeline.grow import dtypes, files
from growbench.pipeline.grow.check import Job, Request, parameters, sizes
from growbench.pipeline.grow.measure import NOT_FINITE
from growbench.records import provenance
from growbench.spec import ModelSpec

EXACT_BYTES = 4  # a narrower number rounds by more than an exact growth differs
TOLERANCE = {torch.float32: 1e-3, torch.float64: 1e-6}  # more is not rounding; by the dtype of the comparison
RMS_TOLERANCE = 1e-5  # the same in float64 under RMSNorm, which the stock classes compute in float32 all the same
REMEDY = (
    "the grown directory is not removed, but look for constant or very large weights in the source before you use it"
)
EXPECTED = (files.CONFIG, files.WEIGHTS, files.INDEX)  # files whose replacement needs no word
PHASES = ("checking", "growing", "measuring")  # checking includes loading torch and transformers


def report_of(
    request: Request, job: Job, measured: Mapping[str, Any] | str, learned: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Return the report of a growth. measured: what `preservation.compare` found, or why it found nothing.

    learned: how the operator was learned, and what it cost; None if it was not.
    """
    spec, target = job.operator.source, job.operator.target
    claim = job.method.exact(spec, target, job.family.traits(job.config), job.options) and job.operator.keeps_head_norms
    narrow = sorted({files.name_of(dtype) for dtype in job.types.values() if dtype.itemsize < EXACT_BYTES})
    rounding = " and ".join(narrow) or None
    exact = claim and rounding is None
    return {
        "problem": _problem(measured, _tolerance(job)) if exact else None,
        "method": job.method.name,
        "options": job.options,
        "seed": request.seed,
        "class": job.grown_class.__name__,
        "dtype": files.name_of(job.dtype),
        "types": {
            "before": dtypes.table(job.source.dtypes, sizes(job.model)),
            "after": dtypes.table(job.types, sizes(job.grown)),
        },
        "source": {"directory": request.name or str(request.source), **spec.to_dict()},
        "target": target.to_dict(),
        "parameters_before": parameters(job.model),
        "parameters_after": parameters(job.grown),
        "claimed": {"preserves": job.method.preserves, "exact": exact, "rounding": rounding},
        "measured": measured,
        "left_out": job.source.left_out,
        "renamed": job.source.wrappers or None,
        "keys": job.keys.to_dict(),
        "files": job.carried.to_dict() | {"written": list(job.layouts)},
        "inputs": job.sample.words if job.sample is not None else None,
        "learned": learned,
        "flops": learned["flops"] if learned else 0.0,
        **provenance.of(torch.get_num_threads()),
    }


def _tolerance(job: Job) -> float:
    """Return the largest relative difference that is rounding."""
    dtype = job.source.compute or job.dtype
    return RMS_TOLERANCE if dtype == torch.float64 and job.family.norm == "rms" else TOLERANCE[dtype]


def _problem(measured: Mapping[str, Any] | str, tolerance: float) -> str | None:
    """Return why a claim of exactness does not hold; None if it holds, or if the models were not compared."""
    if isinstance(measured, str):
        return f"claimed exact, but {NOT_FINITE}; {REMEDY}" if measured == NOT_FINITE else None
    relative = measured["relative_delta"]
    if relative is not None and relative <= tolerance:
        return None
    how = "outputs of 0 became others" if relative is None else f"the outputs differ by {relative:.3g} of their scale"
    return f"claimed exact, but {how}; {REMEDY}"


def lines(report: Mapping[str, Any], out: Path) -> str:
    """Return the report in a few lines for people."""
    source = ModelSpec.from_dict({key: value for key, value in report["source"].items() if key != "directory"})
    target = ModelSpec.from_dict(report["target"])
    rows = {
        **({"problem": report["problem"]} if report["problem"] else {}),
        "grown": f"{report['class']} {source.short()} -> {target.short()} by {report['method']}",
        "parameters": f"{report['parameters_before'] / 1e6:.4g} M -> {report['parameters_after'] / 1e6:.4g} M",
        "claimed": _claimed(report["claimed"]),
        **_learned(report["learned"]),
        **_measured(report),
    }
    rows |= _changes(report)
    seconds = report["seconds"]
    if report["optimizer"]:
        told = report["optimizer"]
        rows["optimizer"] = (
            f"moments of {told['parameters']} parameters, {told['policy']}; {len(told['without_moments'])} have none"
        )
    spent = ", ".join(f"{name} {seconds[name]:.1f} s" for name in PHASES)
    rows["cost"] = (
        f"{report['flops']:.3g} FLOPs; {spent}; at most {max(report['memory'].values()) / 1e9:.3g} GB of memory"
    )
    rows["written"] = f"{out} ({report['bytes'] / 1e6:.4g} MB of {report['dtype']}; this report: {files.REPORT})"
    return "\n".join(f"{key:<11}{shown(value)}" for key, value in rows.items())


def _changes(report: Mapping[str, Any]) -> dict[str, str]:
    """Return what is not as it was in the source: tensors, types, keys and files."""
    rows, before, after = {}, report["types"]["before"], report["types"]["after"]
    if report["left_out"]:
        rows["left out"] = f"{', '.join(report['left_out'])}: {report['class']} has no place for them"
    if report["renamed"]:
        rows["renamed"] = f"all tensors: their names were read without '{report['renamed']}'"
    if before.keys() != after.keys() or len(before) > 1:
        rows["types"] = f"{_types(before)} -> {_types(after)}"
    if report["keys"]["unknown"]:
        rows["keys"] = f"kept, but not known to the stock class: {', '.join(report['keys']['unknown'])}"
    told = {name: why for name, why in report["files"]["not_carried"].items() if name not in EXPECTED}
    rows["files"] = f"{len(report['files']['carried'])} carried"
    if told:
        rows["files"] += "; not carried: " + ", ".join(f"{name} ({why})" for name, why in told.items())
    return rows


def _types(table: Mapping[str, Mapping[str, int]]) -> str:
    return ", ".join(f"{row['tensors']} tensors of {name}" for name, row in table.items())


def _claimed(claim: Mapping[str, Any]) -> str:
    rounds = f" (stored in {claim['rounding']}, which rounds)" if claim["rounding"] else ""
    return f"{'exact' if claim['exact'] else 'not exact'} here{rounds}; in general: {claim['preserves']}"


def _learned(learned: Mapping[str, Any] | None) -> dict[str, str]:
    if learned is None:
        return {}
    return {
        "learned": f"{learned['steps']} steps, {learned['tokens']:,} tokens; loss of the operator on the text that follows "
        f"{learned['loss_before']:.4f} -> {learned['loss_after']:.4f}"
    }


def _measured(report: Mapping[str, Any]) -> dict[str, str]:
    found = report["measured"]
    if isinstance(found, str):
        return {"measured": found}
    rows = {
        "measured": f"largest difference {_short(found['max_abs_delta'])} of {_short(found['logit_scale'])}, "
        f"relative {_short(found['relative_delta'])}{_at(found['at'])}, on {report['inputs']} ({found['how']})"
    }
    if found["loss_before"] is not None:
        rows["loss"] = f"{found['loss_before']:.6f} -> {_short(found['loss_after'], '.6f')}"
    return rows


def _at(place: Mapping[str, int | None] | None) -> str:
    """Return where the largest difference is."""
    if place is None:
        return ""
    words = {
        "row": f"row {place['row']}",
        "position": f"position {place['position']}",
        "token": f"token {place['token']}",
    }
    return " at " + ", ".join(word for key, word in words.items() if place[key] is not None)


def _short(value: float | None, form: str = ".3g") -> str:
    return "not finite" if value is None else format(value, form)

"""The report of one growth: as a mapping for programs, and in a few lines for people."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from growbench.errors import shown
from growbench.pipeline.grow import files
from growbench.pipeline.grow.check import Job, Request, parameters
from growbench.records import provenance
from growbench.spec import ModelSpec

EXACT_BYTES = 4  # a narrower number rounds by more than an exact growth differs
TOLERANCE = {torch.float32: 1e-3, torch.float64: 1e-6}  # more is not rounding; by the dtype of the comparison
NOT_FINITE = "not measured (the outputs of a model are infinite, NaN or too large to be compared)"
REMEDY = (
    "the grown directory is not removed, but look for constant or very large weights in the source before you use it"
)
PHASES = ("checking", "growing", "measuring")  # checking includes loading torch and transformers


def report_of(
    request: Request, job: Job, measured: Mapping[str, Any] | str, learned: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Return the report of a growth. measured: what `preservation.compare` found, or why it found nothing.

    learned: how the operator was learned, and what it cost; None if it was not.
    """
    spec, target = job.operator.source, job.operator.target
    claim = job.method.exact(spec, target, job.family.traits(job.config), job.options)
    rounding = files.name_of(job.dtype) if job.dtype.itemsize < EXACT_BYTES else None
    exact = claim and rounding is None
    return {
        "problem": _problem(measured, TOLERANCE[job.source.compute or job.dtype]) if exact else None,
        "method": job.method.name,
        "options": job.options,
        "seed": request.seed,
        "class": job.model_class.__name__,
        "dtype": files.name_of(job.dtype),
        "source": {"directory": str(request.source), **spec.to_dict()},
        "target": target.to_dict(),
        "parameters_before": parameters(job.model),
        "parameters_after": parameters(job.grown),
        "claimed": {"preserves": job.method.preserves, "exact": exact, "rounding": rounding},
        "measured": measured,
        "left_out": job.source.left_out,
        "inputs": job.sample.words if job.sample is not None else None,
        "learned": learned,
        "flops": learned["flops"] if learned else 0.0,
        **provenance.of(torch.get_num_threads()),
    }


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
    if report["left_out"]:
        rows["left out"] = f"{', '.join(report['left_out'])}: {report['class']} has no place for them"
    seconds = report["seconds"]
    rows["cost"] = f"{report['flops']:.3g} FLOPs; " + ", ".join(f"{name} {seconds[name]:.1f} s" for name in PHASES)
    rows["written"] = f"{out} ({report['bytes'] / 1e6:.4g} MB of {report['dtype']}; this report: {files.REPORT})"
    return "\n".join(f"{key:<11}{shown(value)}" for key, value in rows.items())


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
        f"relative {_short(found['relative_delta'])}, on {report['inputs']}"
    }
    if found["loss_before"] is not None:
        rows["loss"] = f"{found['loss_before']:.6f} -> {_short(found['loss_after'], '.6f')}"
    return rows


def _short(value: float | None, form: str = ".3g") -> str:
    return "not finite" if value is None else format(value, form)

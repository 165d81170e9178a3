"""The report of one growth: as a mapping for programs, and in a few lines for people."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from growbench.pipeline.grow import files
from growbench.pipeline.grow.check import Job, Request, parameters
from growbench.records import record
from growbench.spec import ModelSpec

EXACT_BYTES = 4  # a narrower number rounds by more than an exact growth differs
PHASES = ("checking", "growing", "measuring")  # checking includes loading torch and transformers


def report_of(request: Request, job: Job, measured: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the report of a growth. measured: what `preservation.compare` found; None if it did not run."""
    spec, target = job.operator.source, job.operator.target
    claim = job.method.exact(spec, target, job.family.traits(job.config), job.options)
    rounding = files.name_of(job.dtype) if job.dtype.itemsize < EXACT_BYTES else None
    return {
        "method": job.method.name,
        "options": job.options,
        "seed": request.seed,
        "class": job.model_class.__name__,
        "dtype": files.name_of(job.dtype),
        "source": {"directory": str(request.source), **spec.to_dict()},
        "target": target.to_dict(),
        "parameters_before": parameters(job.model),
        "parameters_after": parameters(job.grown),
        "claimed": {"preserves": job.method.preserves, "exact": claim and rounding is None, "rounding": rounding},
        "measured": measured if measured is not None else "not measured (--no-measure)",
        "left_out": job.source.left_out,
        "inputs": job.sample.words if job.sample is not None else None,
        "flops": 0.0,
        **record.provenance(torch.get_num_threads()),
    }


def lines(report: Mapping[str, Any], out: Path) -> str:
    """Return the report in a few lines for people."""
    source = ModelSpec.from_dict({key: value for key, value in report["source"].items() if key != "directory"})
    target = ModelSpec.from_dict(report["target"])
    rows = {
        "grown": f"{report['class']} {source.short()} -> {target.short()} by {report['method']}",
        "parameters": f"{report['parameters_before'] / 1e6:.4g} M -> {report['parameters_after'] / 1e6:.4g} M",
        "claimed": _claimed(report["claimed"]),
        **_measured(report),
    }
    if report["left_out"]:
        rows["left out"] = f"{', '.join(report['left_out'])}: {report['class']} has no place for them"
    seconds = report["seconds"]
    rows["cost"] = f"{report['flops']:.3g} FLOPs; " + ", ".join(f"{name} {seconds[name]:.1f} s" for name in PHASES)
    rows["written"] = f"{out} ({report['bytes'] / 1e6:.4g} MB of {report['dtype']}; this report: {files.REPORT})"
    return "\n".join(f"{key:<11}{value}" for key, value in rows.items())


def _claimed(claim: Mapping[str, Any]) -> str:
    rounds = f" (stored in {claim['rounding']}, which rounds)" if claim["rounding"] else ""
    return f"{'exact' if claim['exact'] else 'not exact'} here{rounds}; in general: {claim['preserves']}"


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

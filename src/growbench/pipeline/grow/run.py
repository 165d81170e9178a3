"""Grow a Hugging Face directory into another one: check, stream the tensors, measure, report."""

import gc
import json
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from growbench import families, methods
from growbench.errors import GrowBenchError, nearest
from growbench.families import Family
from growbench.growth import preservation
from growbench.growth.model import operator_of
from growbench.growth.operator import Operator
from growbench.growth.preservation import Sample
from growbench.growth.transfer import transfer
from growbench.methods import COMMON, Method
from growbench.pipeline.grow import files
from growbench.pipeline.grow.sample import sample_of
from growbench.pipeline.grow.sizes import check_sizes, require_plausible, target_spec
from growbench.pipeline.grow.tensors import Checkpoint, skeleton, stored_names
from growbench.records import record
from growbench.runtime.memory import reuse_freed_memory
from growbench.spec import ModelSpec
from growbench.study.files import change

EXACT_BYTES = 4  # a narrower number rounds by more than growing would differ
PHASES = ("checking", "growing", "measuring")  # checking includes the time that torch and transformers take to load


@dataclass(frozen=True, kw_only=True)
class Request:
    """What the command was asked: sizes as in SHAPE_KEYS, None where left out; options as `name=value` words."""

    source: Path
    out: Path
    method: str
    sizes: Mapping[str, int | None]
    options: tuple[str, ...] = ()
    seed: int = 0
    dtype: str | None = None
    text: Path | None = None
    measure: bool = True


@dataclass(frozen=True, kw_only=True)
class Job:
    """One growth, checked: nothing has been written yet. model, grown: stock ones without storage."""

    family: Family
    method: Method
    options: dict[str, Any]
    config: Any
    model_class: Any
    model: nn.Module
    source: Checkpoint
    operator: Operator
    grown_config: Any
    grown: nn.Module
    dtype: torch.dtype
    sample: Sample | None


def run(request: Request) -> dict[str, Any]:
    """Grow a directory and return its report. Raises GrowBenchError before anything is written."""
    clock = [time.monotonic()]
    job = check(request)
    clock.append(time.monotonic())
    with files.whole(request.out) as part:
        size = write(job, request.source, part)
        clock.append(time.monotonic())
        measured = measure(job, job.sample, request.source, part) if job.sample is not None else None
        clock.append(time.monotonic())
        seconds = {name: round(clock[i + 1] - clock[i], 3) for i, name in enumerate(PHASES)}
        report = _report(request, job, measured) | {"bytes": size, "seconds": seconds}
        (part / files.REPORT).write_text(json.dumps(report, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    return report


def check(request: Request) -> Job:
    """Check everything that can be checked without reading the tensors."""
    files.check_out(request.source, request.out)
    if request.method not in methods.names():
        raise GrowBenchError(f"--method {request.method}: not known; {nearest(request.method, methods.names())}")
    method = methods.load(request.method)
    given = _options(request.options)
    if studied := sorted(COMMON.keys() & given):
        raise GrowBenchError(f"--set {studied[0]}: it is for a run in a study, not for one growth; leave it out")
    options = method.check_options(given)
    if method.masked:
        raise GrowBenchError(
            f"--method {method.name}: it grows behind masks while training, and a checkpoint has none; "
            "use it in a study, or --method lemon or zero_pad here"
        )
    if not 0 <= request.seed < 2**63:
        raise GrowBenchError(f"--seed {request.seed}: not a seed; use a whole number from 0 to 2^63 - 1")
    config = files.read_config(request.source)
    family = families.of(config)
    with stock(request.source):
        spec = family.spec(config)
    require_plausible(spec)
    target = target_spec(family, spec, request.sizes)
    check_sizes(method, spec, target)
    with stock(request.source):
        model_class = family.auto_class(config)
        model = skeleton(model_class, config)
        operator, grown_config = operator_of(family, config, target, method, options, request.seed, model_class)
        grown = skeleton(model_class, grown_config)
    source = Checkpoint(request.source, model)
    dtype = _dtype(request.dtype, source)
    files.require_room(request.out, dtype.itemsize * _parameters(grown))
    source.compute = torch.promote_types(torch.promote_types(source.widest, dtype), torch.float32)
    return Job(
        family=family,
        method=method,
        options={key: options[key] for key in method.options},
        config=config,
        model_class=model_class,
        model=model,
        source=source,
        operator=operator,
        grown_config=grown_config,
        grown=grown,
        dtype=dtype,
        sample=sample_of(family, config, model, request.source, request.text, request.seed)
        if request.measure
        else None,
    )


@contextmanager
def stock(folder: Path) -> Iterator[None]:
    """Turn what the stock classes raise on a config they cannot build into one line that names it."""
    try:
        yield
    except (GrowBenchError, KeyboardInterrupt):
        raise
    except Exception as error:
        reason = " ".join(str(error).split())[:200]
        raise GrowBenchError(
            f"{folder / 'config.json'}: the stock model cannot be built ({type(error).__name__}: {reason}); correct it"
        ) from error


def _finite(pairs: Iterable[tuple[str, Tensor]], folder: Path, dtype: torch.dtype) -> Iterator[tuple[str, Tensor]]:
    """Pass tensors on; raise GrowBenchError at one that would be stored as NaN or infinity."""
    for name, tensor in pairs:
        low, high = (float(value) for value in torch.aminmax(tensor))
        if not -torch.finfo(dtype).max <= low <= high <= torch.finfo(dtype).max:
            raise GrowBenchError(
                f"{folder}: tensor {name} grows to NaN, infinity or more than {files.name_of(dtype)} holds; repair the "
                "source, or use --dtype float32"
            )
        yield name, tensor


def _options(words: tuple[str, ...]) -> dict[str, Any]:
    """Return `--set name=value` as a mapping; values are YAML."""
    found: dict[str, Any] = {}
    for word in words:
        found |= change(word, "map=random")
    return found


def _dtype(name: str | None, source: Checkpoint) -> torch.dtype:
    if name is None:
        return source.widest
    if name not in files.DTYPES:
        raise GrowBenchError(f"--dtype {name}: not known; {nearest(name, files.DTYPES)}")
    return files.STORED[files.DTYPES[name]]


def write(job: Job, source: Path, part: Path) -> int:
    """Write config, carried files and tensors of the target into `part`; return the bytes of the tensors' file."""
    files.carry(source, part)
    job.grown_config.architectures = [job.model_class.__name__]
    job.grown_config.dtype = job.dtype
    job.grown_config.save_pretrained(part)
    names = stored_names(job.grown)
    layout = {names[name]: tuple(parameter.shape) for name, parameter in job.grown.named_parameters()}
    roles, grown_roles = (job.family.roles(c, job.model_class) for c in (job.config, job.grown_config))
    checked = _finite(transfer(job.operator, job.source, roles, grown_roles), source, job.dtype)
    with torch.inference_mode(), reuse_freed_memory():
        return files.write_tensors(part / files.WEIGHTS, layout, job.dtype, ((names[name], t) for name, t in checked))


def measure(job: Job, sample: Sample, source: Path, target: Path) -> dict[str, float | None]:
    """Load both directories as any user would and compare them; float64 where both are stored so, else float32."""
    from transformers.utils import logging

    logging.disable_progress_bar()
    folders = {"source": source, "target": target}
    compute = job.source.compute
    job.source.close()
    gc.collect()

    def load(which: str) -> Any:
        return job.model_class.from_pretrained(folders[which].resolve(), dtype=compute, local_files_only=True).eval()

    return preservation.compare(load, sample, job.operator.widening.residual)


def _report(request: Request, job: Job, measured: Mapping[str, Any] | None) -> dict[str, Any]:
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
        "parameters_before": _parameters(job.model),
        "parameters_after": _parameters(job.grown),
        "claimed": {"preserves": job.method.preserves, "exact": claim and rounding is None, "rounding": rounding},
        "measured": measured if measured is not None else "not measured (--no-measure)",
        "left_out": job.source.left_out,
        "inputs": job.sample.words if job.sample is not None else None,
        "flops": 0.0,
        **record.provenance(torch.get_num_threads()),
    }


def _parameters(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def lines(report: Mapping[str, Any], out: Path) -> str:
    """The report in a few lines for a person."""
    spec, target = (
        ModelSpec.from_dict({k: v for k, v in report["source"].items() if k != "directory"}),
        report["target"],
    )
    found, claim = report["measured"], report["claimed"]
    rows = {
        "grown": f"{report['class']} {spec.short()} -> {ModelSpec.from_dict(target).short()} by {report['method']}",
        "parameters": f"{report['parameters_before'] / 1e6:.4g} M -> {report['parameters_after'] / 1e6:.4g} M",
        "claimed": f"{'exact' if claim['exact'] else 'not exact'} here"
        f"{' (stored in ' + claim['rounding'] + ', which rounds)' if claim['rounding'] else ''}; "
        f"in general: {claim['preserves']}",
    }
    if isinstance(found, str):
        rows["measured"] = found
    else:
        rows["measured"] = (
            f"largest difference {_short(found['max_abs_delta'])} of {_short(found['logit_scale'])}, "
            f"relative {_short(found['relative_delta'])}, on {report['inputs']}"
        )
        if found["loss_before"] is not None:
            rows["loss"] = f"{found['loss_before']:.6f} -> {_short(found['loss_after'], '.6f')}"
    if report["left_out"]:
        rows["left out"] = f"{', '.join(report['left_out'])}: {report['class']} has no place for them"
    seconds = report["seconds"]
    rows["cost"] = f"{report['flops']:.3g} FLOPs; " + ", ".join(f"{name} {seconds[name]:.1f} s" for name in PHASES)
    rows["written"] = f"{out} ({report['bytes'] / 1e6:.4g} MB of {report['dtype']}; this report: {files.REPORT})"
    return "\n".join(f"{key:<11}{value}" for key, value in rows.items())


def _short(value: float | None, form: str = ".3g") -> str:
    return "not finite" if value is None else format(value, form)

"""Grow a Hugging Face directory into another one: check, stream the tensors, measure, report."""

import gc
import json
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from growbench.errors import GrowBenchError
from growbench.growth import preservation
from growbench.growth.model import grow_model
from growbench.growth.preservation import Sample
from growbench.growth.transfer import transfer
from growbench.pipeline.grow import files
from growbench.pipeline.grow.check import Job, Request, check, stock
from growbench.pipeline.grow.learn import learn, wanted
from growbench.pipeline.grow.publish import published
from growbench.pipeline.grow.report import NOT_FINITE, PHASES, report_of
from growbench.pipeline.grow.tensors import stored_names
from growbench.runtime.memory import reuse_freed_memory

# What a config may say about how a model returns its outputs, as the comparison needs it.
PLAIN = {"output_attentions": False, "output_hidden_states": False, "return_dict": True, "use_cache": False}


def run(request: Request) -> dict[str, Any]:
    """Grow a directory and return its report. Raises GrowBenchError before anything is written."""
    clock = [time.monotonic()]
    job = check(request)
    clock.append(time.monotonic())
    with published(request.out) as folder:
        learnt = learn(request, job) if wanted(job.method, job.options) else None
        size = write(job, request.source, folder, learnt.model if learnt else None)
        clock.append(time.monotonic())
        measured = compared(job, request.source, folder)
        clock.append(time.monotonic())
        seconds = {name: round(clock[i + 1] - clock[i], 3) for i, name in enumerate(PHASES)}
        report = report_of(request, job, measured, learnt.report if learnt else None) | {
            "bytes": size,
            "seconds": seconds,
        }
        (folder / files.REPORT).write_text(json.dumps(report, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    return report


def write(job: Job, source: Path, folder: Path, model: Any = None) -> int:
    """Write config, carried files and tensors of the target into a folder. Return the bytes of the tensors' file.

    model: the target, if its operator can be learned; None streams it from the source's tensors.
    """
    files.carry(source, folder)
    job.grown_config.architectures = [job.model_class.__name__]
    job.grown_config.dtype = job.dtype
    job.grown_config.save_pretrained(folder)
    names = stored_names(job.grown)
    layout = {names[name]: tuple(parameter.shape) for name, parameter in job.grown.named_parameters()}
    checked = _finite(_grown(job, source, model), source, job.dtype)
    with torch.inference_mode(), reuse_freed_memory():
        return files.write_tensors(folder / files.WEIGHTS, layout, job.dtype, ((names[name], t) for name, t in checked))


def _grown(job: Job, source: Path, model: Any) -> Iterable[tuple[str, Tensor]]:
    """Return the tensors of the target by name."""
    if model is None and job.method.needs_data:
        whole = job.model_class.from_pretrained(source.resolve(), dtype=job.source.compute, local_files_only=True)
        model = grow_model(whole, job.family, job.operator.target, job.method, job.options, seed=job.operator.seed)
    if model is not None:
        return ((name, parameter.detach()) for name, parameter in model.named_parameters())
    roles, grown_roles = (job.family.roles(c, job.model_class) for c in (job.config, job.grown_config))
    return transfer(job.operator, job.source, roles, grown_roles)


def _finite(pairs: Iterable[tuple[str, Tensor]], folder: Path, dtype: torch.dtype) -> Iterator[tuple[str, Tensor]]:
    """Pass tensors on. Raises GrowBenchError at one that would be stored as NaN or infinity."""
    for name, tensor in pairs:
        low, high = (float(value) for value in torch.aminmax(tensor))
        if not -torch.finfo(dtype).max <= low <= high <= torch.finfo(dtype).max:
            raise GrowBenchError(
                f"{folder}: tensor {name} grows to NaN, infinity or a number beyond {files.name_of(dtype)}; repair the "
                "source, or use --dtype float32"
            )
        yield name, tensor


def compared(job: Job, source: Path, target: Path) -> dict[str, float | None] | str:
    """Return how far both directories' outputs differ, or why that was not measured. The growth is finished by then.

    Raises GrowBenchError if the stock classes cannot run the source.
    """
    if job.sample is None:
        return "not measured (--no-measure)"
    try:
        with stock(source):
            return measure(job, job.sample, source, target)
    except preservation.NotFiniteError:
        return NOT_FINITE
    except MemoryError:
        return "not measured (both models in turn need more memory than there is)"


def measure(job: Job, sample: Sample, source: Path, target: Path) -> dict[str, float | None]:
    """Load both directories as any user would and compare them, in float64 if both are stored in it, else in float32."""
    from transformers.utils import logging

    logging.disable_progress_bar()
    folders = {"source": source, "target": target}
    compute = job.source.compute
    job.source.close()
    gc.collect()

    def load(which: str) -> Any:
        model = job.model_class.from_pretrained(folders[which].resolve(), dtype=compute, local_files_only=True).eval()
        for key, value in PLAIN.items():
            setattr(model.config, key, value)
        return model

    return preservation.compare(load, sample, job.operator.widening.residual)

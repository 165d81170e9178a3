"""Grow a Hugging Face directory into another one: check, stream the tensors, measure, report."""

import json
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from growbench.errors import GrowBenchError
from growbench.families import Role
from growbench.growth.experts import parts
from growbench.growth.model import grow_model
from growbench.growth.narrow import is_copy, same_bytes, sources
from growbench.growth.transfer import transfer
from growbench.pipeline.grow import carry, dtypes, files, shards
from growbench.pipeline.grow.card import card
from growbench.pipeline.grow.check import Job, Request, check, shapes, sizes
from growbench.pipeline.grow.learn import learn, wanted
from growbench.pipeline.grow.measure import announce, compared
from growbench.pipeline.grow.publish import published
from growbench.pipeline.grow.report import PHASES, report_of
from growbench.pipeline.grow.tensors import stored_pieces
from growbench.runtime import hub, memory

LARGE = 1 << 28  # bytes of a tensor; from here on kept memory, which is in pieces, costs more than it saves


def run(request: Request) -> dict[str, Any]:
    """Grow a directory and return its report. Raises GrowBenchError before anything is written."""
    if (name := hub.named(request.source)) is not None:
        request = replace(request, source=hub.located(name), name=name)
    clock = _Clock()
    job = check(request)
    announce(job)
    clock.tick()
    with published(request.out) as folder:
        learnt = learn(request, job) if wanted(job.method, job.options) else None
        size = write(job, request.source, folder, learnt.model if learnt else None)
        moments = job.moments.write(folder, shapes(job.grown)) if job.moments is not None else None
        clock.tick()
        measured = compared(job, request.source, folder)
        clock.tick()
        report = report_of(request, job, measured, learnt.report if learnt else None) | {
            "optimizer": moments,
            "bytes": size,
            **clock.told(),
        }
        (folder / files.REPORT).write_text(json.dumps(report, indent=1, allow_nan=False) + "\n", encoding="utf-8")
        (folder / files.CARD).write_text(card(report, request.source, request.name), encoding="utf-8")
    return report


class _Clock:
    """The seconds that each phase takes, and the most memory that the process has had by its end."""

    def __init__(self) -> None:
        self.ends, self.peaks = [time.monotonic()], list[int]()

    def tick(self) -> None:
        """End a phase."""
        self.ends.append(time.monotonic())
        self.peaks.append(memory.peak())

    def told(self) -> dict[str, dict[str, float]]:
        """Return what the report says: seconds, and bytes of memory."""
        seconds = [round(end - begin, 3) for begin, end in pairwise(self.ends)]
        return {
            "seconds": dict(zip(PHASES, seconds, strict=True)),
            "memory": dict(zip(PHASES, self.peaks, strict=True)),
        }


def write(job: Job, source: Path, folder: Path, model: Any = None) -> int:
    """Write config, carried files and tensors of the target into a folder. Return the bytes of the tensors' files.

    model: the target, if its operator can be learned; None streams it from the source's tensors.
    """
    carry.carry(source, folder, job.carried)
    (folder / files.CONFIG).write_text(json.dumps(job.keys.values, indent=2) + "\n", encoding="utf-8")
    checked = _finite(_grown(job, source, model), source, job.types)
    reuse = memory.reuse_freed_memory() if _largest(job) < LARGE else nullcontext()
    with torch.inference_mode(), reuse:
        return shards.write(folder, job.layouts, _stored(job, checked))


def _stored(job: Job, tensors: Iterable[tuple[str, Tensor]]) -> Iterator[tuple[str, Tensor]]:
    """Yield the tensors of the target's parameters as files have them: those of experts apart."""
    pieces = stored_pieces(job.grown)
    keys = {name: iter(found) for name, found in pieces.items()}
    for name, tensor in tensors:
        rows = next(iter(pieces[name].values()))[0]
        for piece in tensor.split(rows):
            yield next(keys[name]), piece


def _largest(job: Job) -> int:
    """Return the bytes of the target's largest tensor while it is computed."""
    assert job.source.compute is not None
    return job.source.compute.itemsize * max(sizes(job.grown).values())


def _grown(job: Job, source: Path, model: Any) -> Iterable[tuple[str, Tensor]]:
    """Return the tensors of the target by name."""
    if model is None and job.method.needs_data:
        whole = job.model_class.from_pretrained(source.resolve(), dtype=job.source.compute, local_files_only=True)
        model = grow_model(whole, job.family, job.operator.target, job.method, job.options, seed=job.operator.seed)
    if model is not None:
        return ((name, parameter.detach()) for name, parameter in model.named_parameters())
    grown_roles = job.operator.target_family.roles(job.grown_config, job.grown_class)
    if job.operator.mixing is not None:
        return parts(job.operator, job.source, grown_roles)
    return _transferred(job, job.family.roles(job.config, job.model_class), grown_roles)


def _transferred(job: Job, roles: Mapping[str, Role], grown_roles: Mapping[str, Role]) -> Iterator[tuple[str, Tensor]]:
    """Yield the tensors of the target: in the type that is stored where that gives the same bytes, else in a wider one."""
    operator, stored = job.operator, job.source.as_stored()
    named = sources(operator, roles, grown_roles)
    narrow = {
        name
        for name, found in named.items()
        if {job.source.dtypes[part] for part in found} == {job.types[name]}
        and same_bytes(operator, grown_roles[name], job.types[name])
    }
    whole = {name for name in narrow if is_copy(operator, grown_roles[name])}
    made = {
        True: transfer(operator, stored, roles, {n: r for n, r in grown_roles.items() if n in narrow - whole}),
        False: transfer(operator, job.source, roles, {n: r for n, r in grown_roles.items() if n not in narrow}),
    }
    for name in grown_roles:
        yield (name, stored[named[name][0]]) if name in whole else next(made[name in narrow])


def _finite(pairs: Iterable[tuple[str, Tensor]], folder: Path, types: dtypes.Types) -> Iterator[tuple[str, Tensor]]:
    """Pass tensors on. Raises GrowBenchError at one that would be stored as NaN or infinity."""
    for name, tensor in pairs:
        dtype = types[name]
        low, high = (float(value) for value in torch.aminmax(tensor))
        if not -torch.finfo(dtype).max <= low <= high <= torch.finfo(dtype).max:
            raise GrowBenchError(
                f"{folder}: tensor {name} grows to NaN, infinity or a number beyond {files.name_of(dtype)}; repair the "
                "source, or use --dtype float32"
            )
        yield name, tensor

"""Compare a source's directory with its target's: whole models in turn, or layer by layer where memory is short."""

import gc
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from growbench.growth import preservation
from growbench.growth.preservation import Sample
from growbench.pipeline.grow.check import Job, parameters, sizes, stock
from growbench.pipeline.grow.layerwise import layerwise
from growbench.pipeline.grow.tensors import Checkpoint
from growbench.runtime import memory

log = logging.getLogger(__name__)
NOT_FINITE = "not measured (the outputs of a model are infinite, NaN or too large to be compared)"
# What a config may say about how a model returns its outputs and runs its experts, as the comparison needs it.
PLAIN = {
    **dict.fromkeys(("output_attentions", "output_hidden_states", "output_router_logits", "use_cache"), False),
    "return_dict": True,
    "_experts_implementation": "eager",
}
MUCH = 10**9  # bytes of memory of which a user wants to know
SHARE = 0.5  # of the available memory that whole models may need
Found = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Need:
    """Bytes of memory that a comparison needs: of the larger model as a whole, or layer by layer."""

    whole: int
    layerwise: int


def need(job: Job, sample: Sample) -> Need:
    """Return what the comparison needs, from the shapes alone."""
    assert job.source.compute is not None
    item = job.source.compute.itemsize
    shapes = [tuple(p.shape) for model in (job.model, job.grown) for p in model.parameters()]
    tokens = max(row.shape[:2].numel() for row in sample.rows)
    wide = max(max(shape) for shape in shapes)
    outputs = item * tokens * 4 * (wide + 2 * job.operator.target.hidden)
    largest = max(max(sizes(model).values()) for model in (job.model, job.grown))
    whole = max(parameters(job.model), parameters(job.grown))
    return Need(item * whole + outputs, 3 * item * largest + outputs)


def plan(job: Job, sample: Sample) -> tuple[str, str]:
    """Return how both models are compared (`whole`, `layerwise` or `not`), and the need in words."""
    wanted, free = need(job, sample), memory.available()
    if wanted.whole <= SHARE * free:
        return "whole", f"whole models, {_gb(wanted.whole)} of memory"
    beside = f"layer by layer, {_gb(wanted.layerwise)} of memory; whole models need {_gb(wanted.whole)}, {_gb(free)} are free"
    return ("layerwise" if wanted.layerwise <= free else "not"), beside


def announce(job: Job) -> None:
    """Say what the comparison needs before anything is grown, where it needs much or does not find what whole models need."""
    if job.sample is not None:
        how, words = plan(job, job.sample)
        if how != "whole" or need(job, job.sample).whole >= MUCH:
            log.info("the comparison of both models %s: %s", "will run" if how != "not" else "will not fit", words)


def compared(job: Job, source: Path, target: Path) -> Found | str:
    """Return how far both directories' outputs differ, or why that was not measured. The growth is finished by then.

    Raises GrowBenchError if the stock classes cannot run the source.
    """
    if job.sample is None:
        return "not measured (--no-measure)"
    how, words = plan(job, job.sample)
    if how == "not":
        return f"not measured ({words})"
    try:
        return _measured(job, source, target, how) | {"how": words}
    except preservation.NotFiniteError:
        return NOT_FINITE
    except MemoryError:
        return f"not measured (out of memory; {words})"


def _measured(job: Job, source: Path, target: Path, how: str) -> Found:
    """Return what `measure` finds; layer by layer if whole models turn out not to fit."""
    assert job.sample is not None
    try:
        with stock(source):
            return measure(job, job.sample, source, target, how)
    except MemoryError:
        if how == "layerwise":
            raise
    log.info("the comparison of both models goes on layer by layer: whole models do not fit")
    with stock(source):
        return measure(job, job.sample, source, target, "layerwise")


def measure(job: Job, sample: Sample, source: Path, target: Path, how: str) -> Found:
    """Compare both directories, in float64 if both are stored in it, else in float32.

    how: `whole` loads them as any user would; `layerwise` reads each parameter when its module runs.
    """
    from transformers.utils import logging as told

    told.disable_progress_bar()
    folders, skeletons = {"source": source, "target": target}, {"source": job.model, "target": job.grown}
    configs = {"source": job.config, "target": job.grown_config}
    classes = {"source": job.model_class, "target": job.grown_class}
    compute = job.source.compute
    assert compute is not None
    gc.collect()

    def load(which: str) -> Any:
        if how == "whole" and not (which == "source" and job.source.wrappers):
            model = (
                classes[which].from_pretrained(folders[which].resolve(), dtype=compute, local_files_only=True).eval()
            )
        else:
            tensors = Checkpoint(folders[which], skeletons[which])
            model = layerwise(classes[which], configs[which], tensors, tensors.aliases, compute)
        for key, value in PLAIN.items():
            setattr(model.config, key, value)
        return model

    return preservation.compare(load, sample, job.operator.widening.residual)


def _gb(size: float) -> str:
    return f"{size / 1e9:.3g} GB"

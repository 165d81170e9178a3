"""Learn the operator of a growth on a text, for a method that needs data: the directory's model is the frozen source."""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from growbench.errors import GrowBenchError
from growbench.families import Family
from growbench.growth.learned import cost
from growbench.growth.learned.composition import Composition
from growbench.growth.model import compose_model
from growbench.methods import Method
from growbench.pipeline.grow.check import Job, Request
from growbench.pipeline.grow.sample import tokenizer_of
from growbench.plan import flops
from growbench.train.batches import Batches
from growbench.train.data import PackedSequences
from growbench.train.device import Compute
from growbench.train.learning import Learner, learner
from growbench.train.objective import CausalLM, MaskedLM, loss

log = logging.getLogger(__name__)
BATCH, LENGTH = 16, 128  # sequences of a step, tokens of a sequence at most
RATE = 0.15  # share of tokens that a masked model predicts
TOLD = 10  # how often progress is told


@dataclass(frozen=True, slots=True)
class Learnt:
    """An operator that was learned.

    model: the target.
    report: steps, tokens, FLOPs, and the loss in nats on text that follows what was read, before and after.
    """

    model: Any
    report: dict[str, Any]


def wanted(method: Method, options: dict[str, Any]) -> bool:
    """Return whether a growth learns."""
    return method.needs_data and method.learning(options).steps > 0


def learn(request: Request, job: Job) -> Learnt:
    """Learn the operator of a growth and merge it. Raises GrowBenchError if the text is too short."""
    how = job.method.learning(job.options)
    batches = _batches(job.family, job.config, request, how.steps)
    dtype = job.source.compute or torch.float32
    source = job.model_class.from_pretrained(request.source.resolve(), dtype=dtype, local_files_only=True)
    made = compose_model(source, job.family, job.operator.target, job.method, job.options, seed=request.seed)
    del source
    price = _price(job, made, batches)
    trainer = learner(job.family, made, batches, price, how, compute=Compute(torch.device("cpu"), dtype, None))
    before = _loss(trainer, how.steps)
    for step in range(how.steps):
        value = float(trainer.step(step, how.lr_of_step(step)))
        if not np.isfinite(value):
            raise GrowBenchError(f"--set operator_lr={how.lr:g}: the loss is {value} at step {step}; use a smaller LR")
        if (step + 1) % max(1, how.steps // TOLD) == 0:
            log.info("learning the operator: step %d of %d, loss %.4f", step + 1, how.steps, value)
    report = {
        "steps": how.steps,
        "tokens": how.steps * price.tokens,
        "flops": how.steps * price.flops,
        "loss_before": before,
        "loss_after": _loss(trainer, how.steps),
        "text": str(request.text),
    }
    return Learnt(made.merged(), report)


def _price(job: Job, made: Composition, batches: Batches) -> flops.StepCost:
    length, target = batches.sequences.length, job.operator.target
    step = flops.step(target, job.family, batch=BATCH, length=length, positions=batches.objective.positions(length))
    parts = [part for bundle in made.found.values() for part in bundle.parts]
    return step.with_operator(*cost.forward(made.learned, parts, job.operator.source.layers))


@torch.no_grad()
def _loss(trainer: Learner, step: int) -> float:
    """Return the loss on the batch of a step, without dropout."""
    target = trainer.model.stock.eval()
    batch = trainer.batches.of(step)
    value = float(trainer.model.call(lambda model: loss(trainer.family, model, batch)))
    target.train()
    return value


def _batches(family: Family, config: Any, request: Request, steps: int) -> Batches:
    """Return what the steps read. Raises GrowBenchError if the text is shorter than they need."""
    assert request.text is not None
    tokenizer = tokenizer_of(request.source)
    ids = _ids(tokenizer, request.text)
    vocab = family.spec(config).vocab
    if ids.numel() and (largest := int(ids.max())) >= vocab:
        raise GrowBenchError(
            f"{request.source}: the tokenizer makes token id {largest}, beyond vocab_size; fix the tokenizer"
        )
    length = min(LENGTH, family.spec(config).max_length)
    need = (steps + 1) * BATCH * (length - 1)
    if ids.numel() < need:
        raise GrowBenchError(
            f"--text {request.text}: {ids.numel():,} tokens, but {steps} steps and their check read {need:,}; give more "
            f"text, or use --set steps={max(0, ids.numel() // (BATCH * (length - 1)) - 1)}"
        )
    first = next((i for i in (tokenizer.cls_token_id, tokenizer.bos_token_id) if i is not None), int(ids[0]))
    objective: CausalLM | MaskedLM = CausalLM()
    if family.objective == "mlm":
        if tokenizer.mask_token_id is None:
            raise GrowBenchError(f"{request.source}: the tokenizer has no mask token, which learning needs; add one")
        objective = MaskedLM(RATE, tokenizer.mask_token_id, vocab, frozenset(tokenizer.all_special_ids))
    return Batches(PackedSequences(ids.numpy(), length, first, request.seed), objective, BATCH)


def _ids(tokenizer: Any, path: Path) -> Tensor:
    try:
        text = path.read_text(encoding="utf-8", errors="ignore")
    except OSError as error:
        raise GrowBenchError(f"--text {path}: {error.strerror}; name a text file") from error
    return torch.tensor(tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"], dtype=torch.int64)

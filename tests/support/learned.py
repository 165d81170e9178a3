"""Operators to be learned on the models of the contract tests, and text to learn them on."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from support.matrix import cases, source_model

from growbench import families, methods
from growbench.errors import GrowBenchError
from growbench.growth.learned import cost
from growbench.growth.learned.composition import Composition
from growbench.growth.model import compose_model
from growbench.plan import flops
from growbench.spec import ModelSpec
from growbench.train.batches import Batches
from growbench.train.data import PackedSequences
from growbench.train.device import Compute
from growbench.train.learning import Learner, learner
from growbench.train.objective import CausalLM, MaskedLM

LEARNED = [name for name in methods.names() if methods.load(name).needs_data]
BATCH = 4


def accepted(
    method: str, family: str, options: Mapping[str, Any], only: str | None = None
) -> Iterator[tuple[str, tuple[ModelSpec, ModelSpec]]]:
    """Yield the cases that a method accepts. only: the name of the only one that is asked for."""
    for name, case in cases(family).items():
        if only not in (None, name):
            continue
        try:
            methods.load(method).check(*case, families.load(family).traits(), options)
        except GrowBenchError:
            continue
        yield name, case


def composed(
    method: Any,
    family: str,
    case: tuple[ModelSpec, ModelSpec],
    options: Mapping[str, Any] | None = None,
    *,
    dtype: torch.dtype = torch.float64,
    seed: int = 0,
) -> Composition:
    """Return the composition of a growth. method: its name, or a method."""
    chosen = methods.load(method) if isinstance(method, str) else method
    given = options if options is not None else chosen.check_options({})
    source = source_model(family, case[0], dtype)
    return compose_model(source, families.load(family), case[1], chosen, given, seed=seed)


def learns(
    method: str, case: tuple[ModelSpec, ModelSpec], options: Mapping[str, Any] | None = None, seed: int = 0,
    **how: Any,
) -> Learner:  # fmt: skip
    """Return the learner of a growth in float64, on a text that repeats itself."""
    source, target = case
    family, chosen = families.load(source.family), methods.load(method)
    given = options if options is not None else chosen.check_options({})
    special = 6
    length = min(12, source.max_length)
    ids = (special + np.arange(40 * length) ** 2 % (source.vocab - special)).astype(np.int64)
    objective = MaskedLM(0.15, 4, source.vocab) if family.objective == "mlm" else CausalLM()
    batches = Batches(PackedSequences(ids, length, 2, seed), objective, BATCH)
    step = flops.step(target, family, batch=BATCH, length=length, positions=objective.positions(length))
    price = step.with_operator(*cost.of_growth(chosen, source, target, given))
    compute = Compute(torch.device("cpu"), torch.float64, None)
    made = composed(method, source.family, case, given, seed=seed)
    return learner(family, made, batches, price, chosen.learning(given), compute=compute, **how)

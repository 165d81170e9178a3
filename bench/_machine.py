"""How fast the machine is, and the models and trainers that the benchmarks of training share."""

import argparse
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from growbench import families
from growbench.plan import flops
from growbench.spec import ModelSpec
from growbench.train import build
from growbench.train.batches import Batches
from growbench.train.data import PackedSequences
from growbench.train.device import Compute
from growbench.train.loop import Trainer, evaluate
from growbench.train.objective import Objective
from growbench.train.windows import windows

MATMULS = (512, 1024, 2048)


def matmul_rate(
    device: torch.device, dtype: torch.dtype, work: float = 4e10, sizes: tuple[int, ...] = MATMULS
) -> float:
    """Return the FLOPs per second of square matmuls: the best of several sizes. On a CPU, seconds are CPU seconds of all threads.

    work: FLOPs of the whole measurement.
    """
    rates = []
    for size in sizes:
        a, b = (torch.randn(size, size, device=device, dtype=dtype) for _ in range(2))
        out, times = torch.empty_like(a), max(1, round(work / len(sizes) / (2 * size**3)))
        torch.mm(a, b, out=out)
        start = clock(device)
        for _ in range(times):
            torch.mm(a, b, out=out)
        rates.append(times * 2 * size**3 / (clock(device) - start))
    return max(rates)


def device() -> torch.device:
    """Return the GPU where there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def clock(device: torch.device) -> float:
    """Return the CPU seconds of this process; on a GPU, wait until its work is done and return the wall clock."""
    if device.type == "cpu":
        return time.process_time()
    torch.cuda.synchronize(device)
    return time.perf_counter()


def shape(family: str, layers: int, hidden: int, vocab: int, length: int) -> ModelSpec:
    """Return the spec of a model with heads of 64 coordinates and an FFN four times as wide."""
    heads = max(1, hidden // 64)
    return ModelSpec(
        family=family, layers=layers, hidden=hidden, heads=heads, ffn=4 * hidden, vocab=vocab, max_length=length
    )


def arguments(parser: argparse.ArgumentParser, batch: int) -> None:
    """Add the arguments that the benchmarks of pre-training share."""
    parser.add_argument("--shapes", nargs="+", default=["4x128", "6x256"], metavar="LxH")
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    for name, usual in (("vocab", 8192), ("length", 128), ("batch", batch), ("steps", 20)):
        parser.add_argument(f"--{name}", type=int, default=usual)


def settings(family: str, vocab: int, args: argparse.Namespace) -> Iterator[tuple[int, ModelSpec]]:
    """Yield every number of threads with every shape; torch uses that many threads until the next one is asked for."""
    before = torch.get_num_threads()
    for threads in args.threads:
        torch.set_num_threads(threads)
        for layers, hidden in (map(int, name.split("x")) for name in args.shapes):
            yield threads, shape(family, layers, hidden, vocab, args.length)
    torch.set_num_threads(before)


def trainer(
    spec: ModelSpec, model: Any, objective: Objective, windows: PackedSequences, batch: int, *, decay: float,
    bf16: bool = False,
) -> Trainer:  # fmt: skip
    """Return our training loop around a model, with the optimizer and the clipping of `growbench pretrain`."""
    family = families.load(spec.family)
    cost = flops.step(
        spec, family, batch=batch, length=windows.length, positions=objective.positions(windows.length)
    )  # fmt: skip
    compute = Compute(next(model.parameters()).device, torch.float32, torch.bfloat16 if bf16 else None)
    recipe = build.Recipe(weight_decay=decay)
    return build.trainer(family, model, Batches(windows, objective, batch), cost, recipe, compute=compute)


@dataclass(frozen=True)
class Trained:
    """What one training came to.

    loss: nats.
    flops: of all steps as our ledger counts them; 0 on the side of the reference.
    """

    loss: float
    flops: float = 0.0


def linear(step: int, steps: int, warmup: int, peak: float) -> float:
    """Return the LR of a step on both sides: a linear rise over the first `warmup` steps, then a linear fall to 0."""
    return peak * (step / warmup if step < warmup else (steps - step) / (steps - warmup))


def validation(spec: ModelSpec, model: Any, objective: Objective, ids: np.ndarray, length: int, cls: int) -> float:
    """Return the mean loss in nats over all sequences of `ids`, with the same masks for every model."""
    sequences = PackedSequences(ids, length, cls, 0)
    one, every = np.zeros(len(ids), dtype=np.int64), np.ones(len(ids), dtype=bool)  # all of it is one document
    found = windows(sequences, objective, one, every, sequences.count)
    return found.loss(evaluate(trainer(spec, model, objective, sequences, 32, decay=0.0), found))

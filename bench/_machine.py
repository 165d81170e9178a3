"""How fast the machine is, and the models and trainers that the benchmarks of training share."""

import argparse
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from _table import Sample

from growbench import families
from growbench.plan import flops
from growbench.spec import ModelSpec
from growbench.train import build
from growbench.train import device as devices
from growbench.train.batches import Batches
from growbench.train.data import PackedSequences
from growbench.train.loop import Trainer, evaluate
from growbench.train.objective import Objective
from growbench.train.windows import windows

MATMULS = (512, 1024, 2048)
DTYPES = {"float32": torch.float32, "bf16": torch.bfloat16}
SKIPPED = 2  # steps before the clock starts: they prepare kernels and fetch memory


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


def automatic() -> str:
    """Return what `train.precision: auto` means here: bf16 or float32."""
    return devices.resolve("auto", "auto").precision


def precisions() -> list[str]:
    """Return the precisions to compare: what `auto` means here first, then float32."""
    return list(dict.fromkeys([automatic(), "float32"]))


def arguments(parser: argparse.ArgumentParser, batch: int, threads: list[int]) -> None:
    """Add the arguments that the benchmarks of pre-training share."""
    parser.add_argument("--shapes", nargs="+", default=["4x128", "6x256"], metavar="LxH")
    parser.add_argument("--threads", nargs="+", type=int, default=threads)
    parser.add_argument("--steps", type=int, default=6, help=f"timed steps, after {SKIPPED} that are not (6)")
    for name, usual in (("vocab", 8192), ("length", 128), ("batch", batch)):
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
    precision: str = "float32",
) -> Trainer:  # fmt: skip
    """Return our training loop around a model, with the optimizer and the clipping of `growbench pretrain`."""
    family = families.load(spec.family)
    cost = flops.step(
        spec, family, batch=batch, length=windows.length, positions=objective.positions(windows.length)
    )  # fmt: skip
    cast = torch.bfloat16 if precision == "bf16" else None
    compute = devices.Compute(next(model.parameters()).device, torch.float32, cast)
    recipe = build.Recipe(weight_decay=decay)
    return build.trainer(family, model, Batches(windows, objective, batch), cost, recipe, compute=compute)


@dataclass
class Stopwatch:
    """Times the steps of a training after the first SKIPPED ones.

    steps: of the whole training.
    marks: CPU seconds of this process and wall seconds, at the start and at the end.
    """

    steps: int
    marks: list[tuple[float, float]] = field(default_factory=list)

    def passed(self, done: int) -> None:
        """Take notice that so many steps are done."""
        if done in (SKIPPED, self.steps):
            self.marks.append((time.process_time(), time.perf_counter()))

    def sample(self, value: Any) -> Sample:
        """Return the seconds of the timed steps. value: of the sample."""
        (cpu, wall), (cpu_end, wall_end) = self.marks
        return Sample(cpu_end - cpu, wall_end - wall, value)


def linear(step: int, steps: int, warmup: int, peak: float) -> float:
    """Return the LR of a step on both sides: a linear rise over the first `warmup` steps, then a linear fall to 0."""
    return peak * (step / warmup if step < warmup else (steps - step) / (steps - warmup))


def validation(spec: ModelSpec, model: Any, objective: Objective, ids: np.ndarray, length: int, cls: int) -> float:
    """Return the mean loss in nats over all sequences of `ids`, with the same masks for every model."""
    sequences = PackedSequences(ids, length, cls, 0)
    one, every = np.zeros(len(ids), dtype=np.int64), np.ones(len(ids), dtype=bool)  # all of it is one document
    found = windows(sequences, objective, one, every, sequences.count)
    return found.loss(evaluate(trainer(spec, model, objective, sequences, 32, decay=0.0), found))

"""How fast small models train on one device when 1, 2, 4 or 8 processes share it.

Small models are launch-bound: the kernels of a step run for less time than it takes to launch them. Several
processes at once, one CUDA graph for the whole step, or compiled layers fill the gaps. Each process is a worker of its own:
this file run as a script, which reads one JSON request per line and answers each with one JSON line.

A request `prepare` builds a GPT-2 and takes the steps that compile it; `measure` trains for some seconds and returns the
number of steps and their seconds; `profile` returns the number of kernels of a step and the milliseconds for which they ran,
measured on the device.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
MODES = ("eager", "graph", "compiled")
READ, WARM, PROFILED = 20, 3, 20  # steps between two readings of the loss, before any timing, and under the profiler
LR = 1e-4

Step = Callable[[int], Any]  # takes the number of a step; returns its loss, a tensor on the device


@dataclass(frozen=True)
class Case:
    """One model and one way to train it.

    layers, hidden, vocab: the GPT-2's shape; heads have 64 coordinates.
    length, batch: tokens of a sequence, sequences of a step.
    mode: eager; graph (the whole step is one CUDA graph); compiled (as `train.compile` does).
    """

    layers: int
    hidden: int
    vocab: int
    length: int
    batch: int
    mode: str

    @property
    def tokens(self) -> int:
        """Tokens of a step."""
        return self.length * self.batch


class Worker:
    """A process that trains on request."""

    def __init__(self) -> None:
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "TORCHINDUCTOR_COMPILE_THREADS": "1"}
        environment.pop("CUBLAS_WORKSPACE_CONFIG", None)
        environment["PYTHONPATH"] = os.pathsep.join([str(ROOT / "src"), os.environ.get("PYTHONPATH", "")])
        self.process = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )

    def ask(self, verb: str, **values: Any) -> None:
        """Send a request."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"verb": verb, **values}) + "\n")
        self.process.stdin.flush()

    def answer(self) -> dict[str, Any]:
        """Wait for the answer to the last request; it has the key `error` if the request failed."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        return json.loads(line) if line else {"error": f"the worker ended with status {self.process.wait()}"}

    def close(self) -> None:
        self.process.kill()
        self.process.wait()


class Pool:
    """Workers, which import their libraries at the same time; a context manager that ends them."""

    def __init__(self, count: int) -> None:
        self.workers = [Worker() for _ in range(count)]

    def __enter__(self) -> "Pool":
        return self

    def __exit__(self, *exception: object) -> None:
        for worker in self.workers:
            worker.close()

    def renew(self) -> None:
        """Start all workers again, after an error that may have left a device's context unusable."""
        self.__exit__()
        self.workers = [Worker() for _ in self.workers]


def together(chosen: Sequence[Worker], verb: str, **values: Any) -> list[dict[str, Any]]:
    """Send one request to several workers at once; return their answers when all have come.

    Raises RuntimeError with the message of a worker in which the request failed.
    """
    for worker in chosen:
        worker.ask(verb, **values)
    answers = [worker.answer() for worker in chosen]
    if errors := [answer["error"] for answer in answers if "error" in answer]:
        raise RuntimeError(errors[0])
    return answers


def measured(pool: Pool, case: Case, counts: Sequence[int], seconds: float) -> Iterator[dict[str, Any]]:
    """Yield one row per number of processes, the smallest number first; an error ends the case with a row that reports it."""
    shape = {"layers": case.layers, "hidden": case.hidden, "mode": case.mode}
    alone: float | None = None
    kernels: dict[str, Any] = {}
    ready = 0
    for count in sorted(counts):
        try:
            for first, last in (
                (ready, 1),
                (max(ready, 1), count),
            ):  # the first fills the compiler's cache for the rest
                together(pool.workers[first:last], "prepare", **case.__dict__)
            ready = max(ready, count)
            found = together(pool.workers[:count], "measure", seconds=seconds)
            if alone is None:
                alone = _milliseconds(found)
                kernels = together(pool.workers[:1], "profile")[0]
        except RuntimeError as error:
            pool.renew()
            yield {**shape, "processes": count, "error": str(error)}
            return
        yield {**shape, "processes": count, **_row(case, found), **_launching(kernels, alone)}


def _row(case: Case, found: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the time of a step in one process, and the rates of all processes together."""
    rate = sum(one["steps"] / one["seconds"] for one in found)
    return {
        "ms_per_step": round(_milliseconds(found), 3),
        "steps_per_second": round(rate, 2),
        "tokens_per_second": round(rate * case.tokens),
        "flops_per_second": rate * found[0]["flops"],
        "memory_mb_each": round(max(one["memory_mb"] for one in found)),
    }


def _milliseconds(found: Sequence[dict[str, Any]]) -> float:
    """Return the milliseconds of a step, averaged over processes."""
    return 1000 * sum(one["seconds"] / one["steps"] for one in found) / len(found)


def _launching(kernels: dict[str, Any], alone: float) -> dict[str, Any]:
    """Return what the profiler measured, and the share of the step of a single process in which the device was idle."""
    busy = kernels["kernel_ms"]
    share = None if busy is None else round(max(0.0, 1 - busy / alone), 3)
    return {"kernels_per_step": kernels["kernels"], "kernel_ms_per_step": busy, "launch_bound_share": share}


class Bench:
    """A worker's side: the model in training and how a step of it is taken."""

    def __init__(self, case: Case) -> None:
        import _machine
        import numpy as np
        import torch

        from growbench import families
        from growbench.families import layers_path
        from growbench.train.compiled import compiled
        from growbench.train.data import PackedSequences
        from growbench.train.objective import CausalLM

        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        if self.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats()
        family = families.load("gpt2")
        spec = _machine.shape("gpt2", case.layers, case.hidden, case.vocab, case.length)
        model = family.build(family.config(spec, **family.dropout(0.0)), seed=0).to(self.device)
        if case.mode == "compiled":
            compiled(model, layers_path(family.roles(model.config)))
        ids = np.random.default_rng(0).integers(0, case.vocab, 1000 * case.tokens)
        windows = PackedSequences(ids, case.length, 0, 0)
        self.trainer = _machine.trainer(
            spec, model, CausalLM(), windows, case.batch, decay=0.01, precision=_machine.automatic()
        )
        self.taken = 0
        self.step: Step = captured(self.trainer) if case.mode == "graph" else lambda n: self.trainer.step(n, LR)
        self.run(WARM)

    def run(self, steps: int) -> None:
        """Take steps as the loop does: reading the loss of the last one waits for the device."""
        for number in range(self.taken, self.taken + steps):
            value = self.step(number)
        self.taken += steps
        float(value)

    def measure(self, seconds: float) -> dict[str, Any]:
        """Train for at least some seconds."""
        import time

        import torch

        before, began = self.taken, time.perf_counter()
        while (passed := time.perf_counter() - began) < seconds:
            self.run(READ)
        memory = torch.cuda.max_memory_allocated() if self.device.type == "cuda" else 0
        steps = self.taken - before
        return {"steps": steps, "seconds": passed, "flops": self.trainer.cost.flops, "memory_mb": memory / 2**20}

    def profile(self) -> dict[str, Any]:
        """Return the kernels of a step and the milliseconds for which they ran; None on a CPU."""
        if self.device.type != "cuda":
            return {"kernels": None, "kernel_ms": None}
        from torch.autograd import DeviceType
        from torch.profiler import ProfilerActivity, profile

        with profile(activities=[ProfilerActivity.CUDA]) as found:
            self.run(PROFILED)
        events = [
            e
            for e in found.events()
            if e.device_type == DeviceType.CUDA and not getattr(e, "is_user_annotation", False)
        ]
        busy = sum(event.time_range.elapsed_us() for event in events) / 1000
        return {"kernels": round(len(events) / PROFILED), "kernel_ms": round(busy / PROFILED, 4)}


def captured(trainer: Any) -> Step:
    """Return a step that copies a batch to the device and replays one CUDA graph of the forward, the backward, the
    clipping and the optimizer. Raises RuntimeError if a part of it cannot be captured.
    """
    import torch

    from growbench.train.objective import Batch, loss

    if trainer.compute.device.type != "cuda":
        raise RuntimeError("a CUDA graph needs a GPU")
    parameters = list(trainer.model.parameters())
    lr = torch.tensor(LR, device=trainer.compute.device)
    opt = torch.optim.AdamW(parameters, lr=lr, betas=(0.9, 0.999), capturable=True, fused=True)

    def made(number: int) -> Batch:
        return trainer.batches.of(number)

    fixed = made(0).to(trainer.compute.device)

    def work() -> Any:
        opt.zero_grad(set_to_none=True)
        with torch.autocast("cuda", dtype=torch.bfloat16, cache_enabled=False):
            value = loss(trainer.family, trainer.model, fixed)
        value.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        opt.step()
        return value.detach()

    aside = torch.cuda.Stream()
    aside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(aside):
        for _ in range(WARM):
            work()
    torch.cuda.current_stream().wait_stream(aside)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        value = work()

    def step(number: int) -> Any:
        batch = made(number)
        fixed.inputs.copy_(batch.inputs, non_blocking=True)
        fixed.labels.copy_(batch.labels, non_blocking=True)
        graph.replay()
        return value

    return step


def serve() -> None:
    """Answer requests from stdin until it ends."""
    answers, sys.stdout = sys.stdout, sys.stderr
    bench: Bench | None = None
    for line in sys.stdin:
        request = json.loads(line)
        verb = request.pop("verb")
        try:
            if verb == "prepare":
                bench, found = None, {}  # the memory of the one before is freed first
                bench = Bench(Case(**request))
            else:
                found = getattr(bench, verb)(**request)
        except Exception as error:
            found = {"error": f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"}
        print(json.dumps(found), file=answers, flush=True)


if __name__ == "__main__":
    serve()

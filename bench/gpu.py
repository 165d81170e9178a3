"""On a GPU: pre-training, fine-tuning and growth of BERT-base in bf16 against the device's measured bf16 matmul rate.

Pre-training: the loop of `growbench pretrain` (autocast to bf16) with sequences of 128 and 512 tokens, compiled or not. The
share of matmul is the ledger's FLOPs per second (docs/PROTOCOL.md) divided by the best rate of square bf16 matmuls; the bar is
50 % at 512 tokens. The batch is doubled until that no longer pays or the memory is full; the compiled row has the same batch.
Compiling is not timed with the steps. The table shows its seconds, and the number of steps after which it has paid off.
Fine-tuning: sequence classification with an attention mask, rows of the first length. Growth: bert2BERT FPI to the shape of
BERT-large on the CPU, and the move to the device.

It needs torch and transformers, and no other library of this project. Without a GPU it runs on the CPU, with small sizes:

    python bench/gpu.py --out docs/BENCHMARKS.md
    python bench/gpu.py --layers 2 --hidden 64 --lengths 16 32 --vocab 512 --steps 2 --largest 4
"""

import argparse
import os
import statistics
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import _machine
import _table
import numpy as np
import torch

from growbench import families, methods
from growbench.families import layers_path
from growbench.growth.model import grow_model
from growbench.plan import flops
from growbench.runtime.memory import reuse_freed_memory
from growbench.spec import ModelSpec
from growbench.train.compiled import compiled
from growbench.train.data import PackedSequences
from growbench.train.device import Compute
from growbench.train.objective import MaskedLM
from growbench.train.optimizer import adamw

BAR, GAIN, SPECIAL_IDS = 0.5, 1.03, 10
COLUMNS = (
    "work",
    "length",
    "batch",
    "tokens / s",
    "TFLOPs / s",
    "share of matmul",
    "memory, GB",
    "compiling, s",
    "pays after",
    "bar",
)


@dataclass(frozen=True)
class Speed:
    """The speed of one kind of step.

    batch: sequences of a step.
    seconds: of one step.
    first: seconds of the first step, in which layers are compiled.
    memory: peak bytes on the GPU.
    """

    batch: int
    seconds: float
    first: float
    memory: float


def speed(step: Callable[[int], Any], batch: int, steps: int) -> Speed:
    """Time steps. The first two, which compile and warm up, are not part of `seconds`."""
    where = _machine.device()
    if where.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
    start = _machine.clock(where)
    step(0)
    first = _machine.clock(where) - start
    step(1)
    times = []
    for number in range(3):
        start = _machine.clock(where)
        for i in range(steps):
            step(2 + number * steps + i)
        times.append((_machine.clock(where) - start) / steps)
    memory = torch.cuda.max_memory_allocated() if where.type == "cuda" else 0.0
    return Speed(batch, statistics.median(times), first, memory)


def chosen(make: Callable[[int], Callable[[int], Any]], steps: int, largest: int) -> Speed:
    """Return the speed at the best batch: it is doubled until twice the batch is less than GAIN times as fast, or does not fit."""
    best: Speed | None = None
    batch = 1
    while batch <= largest:
        try:
            found = speed(make(batch), batch, steps)
        except torch.OutOfMemoryError:
            break
        finally:
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
        if best is not None and found.batch / found.seconds < GAIN * best.batch / best.seconds:
            return max(best, found, key=lambda one: one.batch / one.seconds)
        best, batch = found, 2 * batch
    if best is None:
        raise SystemExit("bench: one sequence does not fit into the memory of the device; use smaller sizes")
    return best


def pretraining(spec: ModelSpec, length: int, backend: str) -> Callable[[int], Callable[[int], Any]]:
    """Return a function that makes a training step for a batch size. backend: of torch.compile; an empty one compiles nothing."""
    family, objective = families.load("bert"), MaskedLM(0.15, 4, spec.vocab)
    ids = np.random.default_rng(0).integers(SPECIAL_IDS, spec.vocab, 4096 * length)

    def make(batch: int) -> Callable[[int], Any]:
        model = family.build(family.config(spec, **family.dropout(0.0))).to(_machine.device())
        if backend:
            compiled(model, layers_path(family.roles(model.config)), backend)
        made = _machine.trainer(
            spec, model, objective, PackedSequences(ids, length, 2, 0), batch, decay=0.01, precision="bf16"
        )
        return lambda number: made.step(number, 1e-4)

    return make


def finetuning(spec: ModelSpec, length: int) -> Callable[[int], Callable[[int], Any]]:
    """Return a function that makes a fine-tuning step for a batch size."""
    import transformers

    family = families.load("bert")

    def make(batch: int) -> Callable[[int], Any]:
        model = transformers.BertForSequenceClassification(family.config(spec)).to(_machine.device()).train()
        opt = adamw(model, lr=1e-5, betas=(0.9, 0.999), weight_decay=0.01)
        ids = torch.randint(SPECIAL_IDS, spec.vocab, (batch, length), device=_machine.device())
        rows = {"input_ids": ids, "attention_mask": torch.ones_like(ids), "labels": ids[:, 0] % 2}

        def step(number: int) -> None:
            opt.zero_grad(set_to_none=True)
            with Compute(_machine.device(), torch.float32, torch.bfloat16).cast():
                loss = model(**rows).loss
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            opt.step()

        return step

    return make


def growing(spec: ModelSpec) -> tuple[float, float]:
    """Return the seconds to grow a model to twice its layers and 4/3 of its width, and to move it to the device."""
    family, method = families.load("bert"), methods.load("bert2bert_fpi")
    target = spec.resized(
        layers=2 * spec.layers, hidden=spec.hidden * 4 // 3, heads=spec.heads * 4 // 3, ffn=spec.ffn * 4 // 3,
        kv_heads=spec.kv_heads * 4 // 3,
    ) if spec.heads % 3 == 0 else spec.resized(layers=2 * spec.layers)  # fmt: skip
    model, start = family.build(family.config(spec)), _machine.clock(_machine.device())
    with reuse_freed_memory():
        grown = grow_model(model, family, target, method, method.check_options({}), seed=0)
        middle = _machine.clock(_machine.device())
        grown.to(_machine.device())
        return middle - start, _machine.clock(_machine.device()) - middle


def row(
    work: str, length: int, found: Speed, cost: flops.StepCost, rate: float, plain: Speed | None = None
) -> list[str]:
    """Return one row of the table. plain: the speed without compiling, for a compiled row."""
    share = cost.flops / found.seconds / rate
    after = "none"
    if plain is not None:
        gain = plain.seconds / plain.batch - found.seconds / found.batch
        after = f"{found.first / (gain * found.batch):,.0f} steps" if gain > 0 else "never"
    return [
        work, str(length), str(found.batch), f"{cost.tokens / found.seconds:,.0f}", f"{cost.flops / found.seconds / 1e12:.3f}",
        f"{share:.1%}", f"{found.memory / 1e9:.1f}", "none" if plain is None else f"{found.first:.1f}", after,
        _table.verdict(share, BAR) if work.startswith("pre-training") and length == 512 else "none",
    ]  # fmt: skip


def measured(spec: ModelSpec, args: argparse.Namespace, rate: float) -> list[list[str]]:
    """Return all rows of the table."""
    family, rows = families.load("bert"), []
    for length in args.lengths:
        plain: Speed | None = None
        for backend in ("", args.backend) if args.backend else ("",):
            make = pretraining(spec, length, backend)
            found = (
                speed(make(plain.batch), plain.batch, args.steps) if plain else chosen(make, args.steps, args.largest)
            )
            positions = MaskedLM(0.15, 4, spec.vocab).positions(length)
            cost = flops.step(spec, family, batch=found.batch, length=length, positions=positions)
            rows.append(row("pre-training" + ", compiled" * bool(backend), length, found, cost, rate, plain))
            plain = found
    length = args.lengths[0]
    found = chosen(finetuning(spec, length), args.steps, args.largest)
    cost = flops.step(spec, family, batch=found.batch, length=length, positions=1, classes=2)
    return [*rows, row("fine-tuning", length, found, cost, rate)]


def main(words: Sequence[str] | None = None) -> int:
    """Run the benchmark and print its table; with --out, put it into the page."""
    parser = _table.parser(__doc__, 1)
    parser.add_argument("--layers", type=int, default=12)
    parser.add_argument("--hidden", type=int, default=768)
    parser.add_argument("--vocab", type=int, default=30522)
    parser.add_argument("--lengths", type=int, nargs="+", default=[128, 512])
    parser.add_argument("--steps", type=int, default=10, help="steps in each of three timings (10)")
    parser.add_argument("--largest", type=int, default=1024, help="largest batch to try (1024)")
    parser.add_argument("--matmul", type=float, default=2e14, help="FLOPs of one measurement of the matmul rate")
    parser.add_argument(
        "--backend", default="inductor", help="backend of the compiled rows; an empty one leaves them out (inductor)"
    )
    args = parser.parse_args(words)
    load, where = os.getloadavg()[0], _machine.device()
    sizes = (4096, 8192) if where.type == "cuda" else (256,)
    rate = statistics.median(
        _machine.matmul_rate(where, torch.bfloat16, args.matmul, sizes) for _ in range(max(3, args.rounds))
    )
    spec = _machine.shape("bert", args.layers, args.hidden, args.vocab, max(args.lengths))
    rows = measured(spec, args, rate)
    seconds = growing(spec)
    body = (
        f"BERT {(args.layers, args.hidden)}, vocabulary {args.vocab}, bf16. Matmul: {rate / 1e12:.3f} TFLOPs per second"
        f"{'' if where.type == 'cuda' else ' of the CPU'}. Growing it to the shape of BERT-large: {seconds[0]:.2f} s, and {seconds[1]:.2f} s "
        "to the device.\n\n" + _table.markdown(COLUMNS, rows)
    )
    _table.publish("gpu", "On a GPU", body, load, args.out, words or sys.argv[1:])
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""What a step that learns an operator costs beyond the target's own training step: BERT-base to BERT-large, LiGO and Mango.

Every side is a process of its own, so that its peak memory is its own: the stock target in our training loop, and each
operator over a frozen source. All read the same random tokens in the same micro-batches; weights are random, since
their values do not matter. After one micro-batch that is not timed, one whole optimizer step is. A step composes the target
once, whatever the number of micro-batches, so that the operator's share falls with the batch; 256 sequences of 128 tokens are
BERT's batch in LiGO's paper. The bars: a peak memory of at most 24 GiB, and at most 1.3 times the CPU time.

    python bench/learned.py --out docs/BENCHMARKS.md
"""

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import _machine
import _table
import numpy as np
import torch
from _table import Sample
from grow import child

from growbench import families, methods
from growbench.growth.learned import cost
from growbench.growth.model import compose_model
from growbench.plan import flops
from growbench.runtime.memory import reuse_freed_memory
from growbench.spec import ModelSpec
from growbench.train import device as devices
from growbench.train.batches import Batches
from growbench.train.data import PackedSequences
from growbench.train.learning import learner
from growbench.train.loop import Trainer
from growbench.train.objective import MaskedLM

TARGET, OPERATORS = "target", ("ligo", "mango")
GIB, ALLOWED, BAR = 2**30, 24.0, 1.3
SPECIAL, RATE = 6, 0.15
COLUMNS = (
    "sequences a step, side", "CPU s", "of the target's step", "bar", "TFLOPs", "peak memory, GiB", "bar",
)  # fmt: skip


def specs(args: argparse.Namespace) -> tuple[ModelSpec, ModelSpec]:
    """Return the source, and the target with twice its layers and 4/3 of its width."""
    shape = partial(_machine.shape, "bert", vocab=args.vocab, length=args.length)
    return shape(args.layers, args.hidden), shape(2 * args.layers, args.hidden * 4 // 3)


def trainer(side: str, batches: Batches, args: argparse.Namespace) -> Trainer:
    """Return the loop of one side."""
    family, (source, target) = families.load("bert"), specs(args)
    sequences, objective = batches.sequences, batches.objective
    if side == TARGET:
        model = family.build(family.config(target, **family.dropout(0.0)))
        return _machine.trainer(target, model, objective, sequences, args.micro, decay=0.01, precision=args.precision)
    method = methods.load(side)
    options = method.check_options({})
    model = family.build(family.config(source, **family.dropout(0.0)))
    made = compose_model(model, family, target, method, options)
    price = flops.step(target, family, batch=args.micro, length=args.length, positions=objective.positions(args.length))
    cast = torch.bfloat16 if args.precision == "bf16" else None
    compute = devices.Compute(torch.device("cpu"), torch.float32, cast)
    price = price.with_operator(*cost.of_growth(method, source, target, options))
    return learner(family, made, batches, price, method.learning(options), compute=compute)


def step(side: str, args: argparse.Namespace) -> dict[str, Any]:
    """Take one step of a side in this process; return its CPU and wall seconds and its FLOPs."""
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    ids = rng.integers(SPECIAL, args.vocab, (2 * args.batch + 1) * args.length)
    objective = MaskedLM(RATE, 4, args.vocab)
    windows = PackedSequences(ids, args.length, 2, 0)
    made = trainer(side, Batches(windows, objective, args.micro), args)
    with reuse_freed_memory():
        made.step(0, 1e-4)
        made.batches, made.accumulate = Batches(windows, objective, args.batch), args.batch // args.micro
        sample = _table.timed(lambda: float(made.step(1, 1e-4)))
    family, target = families.load("bert"), specs(args)[1]
    own = {"length": args.length, "positions": objective.positions(args.length)}
    one, whole = (flops.step(target, family, batch=batch, **own).flops for batch in (args.micro, args.batch))
    return {"cpu": sample.cpu, "wall": sample.wall, "flops": made.cost.flops - one + whole}


def measured(side: str, batch: int, args: argparse.Namespace, number: int) -> Sample:
    """Run one side in a process of its own; the value is its FLOPs and its peak memory in GiB."""
    own = {key: getattr(args, key) for key in ("layers", "hidden", "vocab", "length", "micro", "precision")}
    words = [word for key, value in own.items() for word in (f"--{key}", str(value))]
    text, _, peak = child([__file__, "--side", side, "--batches", str(batch), *words])
    found = json.loads(text)
    return Sample(found["cpu"], found["wall"], (found["flops"], peak / GIB))


def rows(batch: int, args: argparse.Namespace) -> list[list[str]]:
    """Return the table's rows at one batch."""
    sides: dict[str, Callable[[int], Sample]] = {
        side: partial(measured, side, batch, args) for side in (TARGET, *OPERATORS)
    }
    found = _table.turns(sides, args.rounds, _table.own)
    made = []
    for side, samples in found.items():
        times, peak = _table.ratio(samples, found[TARGET], "cpu"), max(s.value[1] for s in samples)
        made.append(
            [
                f"{batch}, {side}",
                f"{_table.median(samples, 'cpu'):.1f}",
                f"{times:.2f}",
                "none" if side == TARGET else _table.verdict(times, BAR, most=True),
                f"{samples[0].value[0] / 1e12:.3g}",
                f"{peak:.1f}",
                _table.verdict(peak, ALLOWED, most=True),
            ]
        )
    return made


def main(words: Sequence[str] | None = None) -> int:
    """Run the benchmark and print its table; with --out, put it into the page."""
    parser = _table.parser(__doc__, 1)
    for name, usual in (("layers", 12), ("hidden", 768), ("vocab", 30522), ("length", 128), ("micro", 16)):
        parser.add_argument(f"--{name}", type=int, default=usual)
    parser.add_argument(
        "--batches", type=int, nargs="+", default=[32, 256], help="sequences of a step; multiples of --micro"
    )
    parser.add_argument("--precision", choices=tuple(_machine.DTYPES), default=_machine.automatic())
    parser.add_argument("--side", choices=(TARGET, *OPERATORS), help=argparse.SUPPRESS)
    args = parser.parse_args(words)
    if args.side:
        args.batch = args.batches[0]
        print(json.dumps(step(args.side, args)))
        return 0
    load, made = os.getloadavg()[0], [row for batch in args.batches for row in rows(batch, args)]
    source, target = ((s.layers, s.hidden) for s in specs(args))
    body = (
        f"BERT {source} to {target}, vocabulary {args.vocab}, sequences of {args.length} in micro-batches of {args.micro}, "
        f"{args.precision}, 1 thread; one step, medians; rounds in turns: {args.rounds}.\n\n"
        + _table.markdown(COLUMNS, made)
    )
    _table.publish("learned", "A step that learns an operator", body, load, args.out, words or sys.argv[1:])
    return 0


if __name__ == "__main__":
    sys.exit(main())

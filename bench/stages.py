"""Does time follow FLOPs where layers are frozen? Steps of every kind of stage against full steps, in turns.

For each kind of step: its share of a full step's FLOPs, its share of a full step's CPU seconds, and the ratio of the two. At
most 1.25 is promised (no graph below the lowest layer that learns, no moments for frozen tensors).

    python bench/stages.py --rounds 12 --out bench.md
"""

import argparse
import statistics
import sys
import time
from pathlib import Path

import numpy as np
import torch

from growbench import families, flops
from growbench.spec import ModelSpec
from growbench.train import checkpoint
from growbench.train.data import Windows
from growbench.train.loop import Trainer
from growbench.train.objective import MaskedLM
from growbench.train.part import Part

LAYERS, HIDDEN, VOCAB, LENGTH, BATCH = 12, 256, 8192, 128, 8
PARTS = {"top 3 of 12": Part(12, 3), "top 3 of 9": Part(9, 3), "top 3 of 6": Part(6, 3), "3 of 3": Part(3, 3)}


def trainer(part: Part) -> Trainer:
    """A trainer whose every step is of this kind."""
    family = families.load("bert")
    spec = ModelSpec(
        family="bert", layers=LAYERS, hidden=HIDDEN, heads=4, ffn=4 * HIDDEN, vocab=VOCAB, max_length=LENGTH
    )
    model = family.build(family.config(spec, **family.dropout(0.0))).train()
    objective = MaskedLM(0.15, 4, VOCAB)
    cost = flops.step(
        spec.resized(layers=part.depth), family, batch=BATCH, length=LENGTH, positions=objective.positions(LENGTH),
        top=part.top,
    )  # fmt: skip
    opt = checkpoint.optimizer(model, lr=1e-4, betas=(0.9, 0.999), weight_decay=0.01)
    windows = Windows(np.random.default_rng(0).integers(10, VOCAB, 4000 * LENGTH), LENGTH, 2, 0)
    return Trainer(family, model, opt, objective, windows, BATCH, 0, cost, 1.0, parts=(part,))


def main() -> int:
    """Time, print and perhaps write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--out", type=Path, help="also write the table here")
    args = parser.parse_args()
    torch.set_num_threads(1)
    kinds = {"full": trainer(Part(LAYERS, LAYERS)), **{name: trainer(part) for name, part in PARTS.items()}}
    seconds: dict[str, list[float]] = {name: [] for name in kinds}
    for number in range(args.rounds + 2):
        for name, made in kinds.items():
            start = time.process_time()
            made.step(number, 1e-4)
            if number >= 2:
                seconds[name].append(time.process_time() - start)
    full = statistics.median(seconds["full"])
    rows = [
        f"BERT ({LAYERS}, {HIDDEN}), vocabulary {VOCAB}, {BATCH} x {LENGTH}, 1 thread, medians of {args.rounds}",
        "",
    ]
    rows += ["| step | FLOPs share | time share | time / FLOPs |", "|---|---|---|---|"]
    for name, made in kinds.items():
        share, spent = made.cost.flops / kinds["full"].cost.flops, statistics.median(seconds[name]) / full
        rows.append(f"| {name} | {share:.3f} | {spent:.3f} | {spent / share:.2f} |")
    text = "\n".join(rows) + "\n"
    sys.stdout.write(text)
    if args.out:
        args.out.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())

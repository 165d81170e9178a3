"""What reading images costs: training steps with their own images, cropped and mirrored, against steps on one batch made before.

The bar is 0.9: at least nine tenths of the model's own step rate, at ViT (6, 192), 32 x 32, batch 64.

    python bench/images.py --out docs/BENCHMARKS.md
"""

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace

import _machine
import _table
import numpy as np
import torch

from growbench import families
from growbench.plan import flops
from growbench.spec import ModelSpec, Pixels
from growbench.train import build
from growbench.train.augment import Augment
from growbench.train.images import ImageBatches, Images, Scaling
from growbench.train.loop import Trainer
from growbench.train.objective import Batch

PIXELS, BATCH, COUNT = Pixels(size=32, patch=4, classes=10), 64, 4096
SPEC = ModelSpec(family="vit", layers=6, hidden=192, heads=3, ffn=768, vocab=0, max_length=PIXELS.patches + 1)
BAR = 0.9


@dataclass(frozen=True)
class Made:
    """Batches that are all the same one, made before the clock starts."""

    batch: Batch
    seed: int = 0

    def of(self, step: int, cut: int = 1) -> Batch:
        return self.batch


def trainer() -> Trainer:
    """Return a trainer on random images."""
    family, rng = families.load("vit"), np.random.default_rng(0)
    pixels = rng.integers(0, 256, (COUNT, PIXELS.size, PIXELS.size, PIXELS.channels), dtype=np.uint8)
    batches = ImageBatches(
        images=Images(pixels, rng.integers(0, PIXELS.classes, COUNT)), scaling=Scaling((0.5,) * 3, (0.25,) * 3),
        augment=Augment(pad=4, flip=True), size=BATCH, seed=0,
    )  # fmt: skip
    cost = flops.step(
        SPEC, family, batch=BATCH, length=SPEC.max_length, positions=1, classes=PIXELS.classes,
        patch_values=PIXELS.patch_values,
    )  # fmt: skip
    model = family.build(family.config(SPEC, **PIXELS.settings, **family.dropout(0.0)))
    return build.trainer(family, model, batches, cost, build.Recipe())


def main(words: Sequence[str] | None = None) -> int:
    """Run the benchmark and print its table; with --out, put it into the page."""
    parser = _table.parser(__doc__, 12)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args(words)
    load, before = os.getloadavg()[0], torch.get_num_threads()
    torch.set_num_threads(args.threads)
    reads = trainer()
    made = replace(reads, batches=Made(reads.batches.of(0)))  # type: ignore[arg-type]
    steps = {
        "images read and changed": lambda number: reads.step(number, 1e-4),
        "one batch, made before": lambda number: made.step(number, 1e-4),
        "reading and changing alone": lambda number: reads.batches.of(number),
    }
    _table.turns(steps, _machine.SKIPPED)
    found = _table.turns(steps, args.rounds)
    torch.set_num_threads(before)
    own = _table.median(found["one batch, made before"], "cpu")
    rows = []
    for name, samples in found.items():
        spent = _table.median(samples, "cpu")
        judged = _table.verdict(own / spent, BAR) if name == next(iter(steps)) else ""
        rows.append([name, f"{1000 * spent:.1f}", f"{own / spent:.2f}" if "alone" not in name else "", judged])
    body = (
        f"ViT {SPEC.short()}, {PIXELS.size} x {PIXELS.size} in patches of {PIXELS.patch}, batch {BATCH}, float32, "
        f"threads: {args.threads}; medians of {args.rounds} rounds in turns, CPU time of all threads.\n\n"
    )
    body += _table.markdown(("step", "CPU ms", "rate against the model's own", "bar"), rows)
    _table.publish("images", "Reading images", body, load, args.out, words or sys.argv[1:])
    return 0


if __name__ == "__main__":
    sys.exit(main())

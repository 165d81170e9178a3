"""Does time follow FLOPs if layers are frozen? Steps that train a part of the layers against full steps, in turns.

For each kind of step: its share of a full step's FLOPs, its share of a full step's CPU seconds, and the ratio of the two.
The bar is 1.25: there is no graph below the lowest layer that learns, and there are no moments for frozen tensors.

    python bench/stages.py --out docs/BENCHMARKS.md
"""

import os
import statistics
import sys
from collections.abc import Sequence

import _table
import numpy as np
import torch

from growbench import families
from growbench.plan import flops
from growbench.spec import ModelSpec
from growbench.train import build
from growbench.train.batches import Batches
from growbench.train.data import PackedSequences
from growbench.train.loop import Trainer
from growbench.train.objective import MaskedLM
from growbench.train.variants.submodel import SubModel
from growbench.train.variants.variant import Variant

LAYERS, HIDDEN, VOCAB, LENGTH, BATCH = 12, 256, 8192, 128, 8
BAR = 1.25
SUBMODELS = {
    "top 3 of 12": SubModel(12, 3),
    "top 3 of 9": SubModel(9, 3),
    "top 3 of 6": SubModel(6, 3),
    "3 of 3": SubModel(3, 3),
}


def trainer(submodel: SubModel) -> Trainer:
    """Return a trainer that trains this sub-model in every step."""
    family = families.load("bert")
    spec = ModelSpec(
        family="bert", layers=LAYERS, hidden=HIDDEN, heads=4, ffn=4 * HIDDEN, vocab=VOCAB, max_length=LENGTH
    )
    model = family.build(family.config(spec, **family.dropout(0.0))).train()
    objective = MaskedLM(0.15, 4, VOCAB)
    cost = flops.step(
        spec.resized(layers=submodel.depth), family, batch=BATCH, length=LENGTH, positions=objective.positions(LENGTH),
        top=submodel.top,
    )  # fmt: skip
    sequences = PackedSequences(np.random.default_rng(0).integers(10, VOCAB, 4000 * LENGTH), LENGTH, 2, 0)
    variant = Variant(submodels=(submodel,))
    return build.trainer(family, model, Batches(sequences, objective, BATCH), cost, build.Recipe(), variant=variant)


def main(words: Sequence[str] | None = None) -> int:
    """Run the benchmark and print its table; with --out, put it into the page."""
    parser = _table.parser(__doc__, 12)
    args = parser.parse_args(words)
    load, threads = os.getloadavg()[0], torch.get_num_threads()
    torch.set_num_threads(1)
    kinds = {"full": trainer(SubModel(LAYERS, LAYERS)), **{name: trainer(one) for name, one in SUBMODELS.items()}}
    steps = {name: (lambda number, made=made: made.step(number, 1e-4)) for name, made in kinds.items()}
    _table.turns(steps, 2)
    found = _table.turns(steps, args.rounds)
    torch.set_num_threads(threads)
    rows = []
    for name, made in kinds.items():
        share = made.cost.flops / kinds["full"].cost.flops
        spent = statistics.median(s.cpu for s in found[name]) / statistics.median(s.cpu for s in found["full"])
        rows.append(
            [name, f"{share:.3f}", f"{spent:.3f}", f"{spent / share:.2f}", _table.verdict(spent / share, BAR, True)]
        )
    body = f"BERT {(LAYERS, HIDDEN)}, vocabulary {VOCAB}, {BATCH} x {LENGTH}, 1 thread; medians of {args.rounds} rounds in turns.\n\n"
    body += _table.markdown(("step", "FLOPs share", "CPU time share", "time / FLOPs", "bar"), rows)
    _table.publish("stages", "Steps that train a part", body, load, args.out, words or sys.argv[1:])
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Whether our fine-tuning loses anything: the source of a study, fine-tuned by us and by the recipe of `run_glue`.

Both sides have the study's checkpoint, settings, files and threads. Ours is `growbench finetune` on the source's finished
point. The recipe (bench/finetune.py) loads the checkpoint's own directory, with its pooler if it has one; ours draws a new
one, as it does for grown models. Seeds differ between the sides in what they draw, so that only means can be compared: they
should differ by no more than seeds do. The study must say where the checkpoint is, and need not have run.

    python bench/downstream.py --data <folder with glue/> --config config/minilm-deep.yaml --tasks CoLA MRPC STS-B SST-2
"""

import os
import statistics
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import _table
import torch
from finetune import quiet, trainer

from growbench import families
from growbench.errors import GrowBenchError
from growbench.pipeline.corpus import tokenizer as tokenizers
from growbench.pipeline.corpus.corpus import VERSION
from growbench.pipeline.finetune import run as finetune
from growbench.pipeline.pretrain import identity, taken
from growbench.records import manifest, record
from growbench.runtime import durable
from growbench.spec import SOURCE
from growbench.study import config
from growbench.study.study import Study
from growbench.tasks.glue import TASKS
from growbench.train import checkpoint, device

HEADS = ("", "metric", "ours, mean × 100", "range", "recipe, mean × 100", "range", "seeds")


def prepare(study: Study) -> None:
    """Write the tokenizer, and the finished point of every seed of the source, where the study has them."""
    found = study.checkpoint
    if found is None:
        raise GrowBenchError("source.path: null; give a study whose source is a checkpoint")
    encoder, special = tokenizers.build(study, [], study.layout.tokenizer)
    files = {path.name: durable.digest(path) for path in study.layout.tokenizer.iterdir()}
    values = {"tokenizer": {"folder": study.layout.tokenizer.name, "files": files}, "vocab": encoder.vocab}
    manifest.write(study.layout.corpus_manifest, {"version": VERSION, **values})
    family, stock = families.load(found.spec.family), taken.stock_config(found)
    for seed in study.seeds:
        model = family.build(family.config(found.spec, base=stock, pad_token_id=special["pad"]), seed=seed)
        taken.fill(family, stock, found, model)
        checkpoint.save_model(study.layout.run(SOURCE, seed).point("p100"), model, identity.wanted(study, SOURCE, seed))


def ours(study: Study, name: str) -> list[float]:
    """Return the score of each seed by `growbench finetune`."""
    chosen = replace(study, tasks=replace(study.tasks, names=(name,)))
    paths = finetune.run(chosen, SOURCE, list(study.seeds), ["p100"])
    read = [record.read(path, "finetune", SOURCE, seed) for path, seed in zip(paths, study.seeds, strict=True)]
    return [run["score"] for values in read for run in values["runs"]]


def recipe(study: Study, name: str, bf16: bool) -> list[float]:
    """Return the score of each seed by the recipe."""
    assert study.checkpoint is not None
    return [trainer(study, study.checkpoint.folder, bf16, name, seed) for seed in study.seeds]


def main(words: Sequence[str] | None = None) -> int:
    """Run both sides task by task in a temporary folder, and print a table; with --out, put it into the page."""
    parser = _table.parser(__doc__, 1, data="glue/<task>")
    parser.add_argument("--config", type=Path, required=True, help="a study whose source is a checkpoint")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="changes of the study")
    parser.add_argument("--tasks", nargs="+", default=["CoLA", "MRPC", "STS-B", "SST-2"], choices=sorted(TASKS))
    args = parser.parse_args(words)
    folder, load, here = _table.data(parser, args), os.getloadavg()[0], Path.cwd()
    out = args.out and args.out.resolve()
    study = config.gather([args.config], [*args.set, f"data.dir={folder.resolve()}"])
    compute, rows = device.resolve(study.train.device, study.train.precision), []
    torch.set_num_threads(study.finetune.threads)
    quiet()
    with tempfile.TemporaryDirectory() as name:
        os.chdir(name)
        try:
            prepare(study)
            for task in args.tasks:
                sides = [ours(study, task), recipe(study, task, compute.precision == "bf16")]
                numbers = [
                    f"{100 * value:.2f}" for side in sides for value in (statistics.fmean(side), max(side) - min(side))
                ]
                rows.append([task, TASKS[task].main, *numbers, str(len(study.seeds))])
                print(_table.markdown(HEADS, rows[-1:]), flush=True)
        finally:
            os.chdir(here)
    body = f"{study.study}, source {study.source.path}, {compute.precision} on both sides.\n\n{_table.markdown(HEADS, rows)}"
    _table.publish("downstream", "Fine-tuning a checkpoint", body, load, out, words or sys.argv[1:])
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Fine-tuning one checkpoint on all GLUE tasks: ours against the Trainer recipe of `run_glue`, task after task, in turns.

Ours: `growbench finetune` on one finished point, in the precision that `train.precision: auto` takes here. It reads the files,
tokenizes them, trains in batches of rows of similar length, scores, and writes the record. Trainer: for each task, what
transformers' `run_glue.py` does. It tokenizes rows by `datasets.map`, and calls Trainer.train and Trainer.evaluate. Each batch
is padded to its longest row (DataCollatorWithPadding), which a user has to ask for: the recipe's default, padding to 128
tokens, is slower. It trains in float32, its default, and with `bf16=True`.

All sides have the same files, model, tasks, batches, epochs, LR and threads. The Trainer saves nothing, and evaluates in
batches as big as ours. On a GPU all train in bf16. A first run on one task, which is not counted, pays for the imports. All
sides run in one process, which saves the Trainer the imports of one process per task.

The bar is 3 times the speed of the recipe in float32, in CPU seconds.

    python bench/finetune.py --data <folder with glue/> --out docs/BENCHMARKS.md
"""

import argparse
import logging
import os
import shutil
import statistics
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import _machine
import _study
import _table
import numpy as np
import torch
from _table import Sample

from growbench import families
from growbench.pipeline.corpus import tokenizer as tokenizers
from growbench.pipeline.corpus.corpus import VERSION
from growbench.pipeline.finetune import rows as row_tools
from growbench.pipeline.finetune import run as finetune
from growbench.pipeline.finetune.classify import results
from growbench.pipeline.pretrain import identity
from growbench.records import manifest, record
from growbench.runtime import durable
from growbench.study.study import Study
from growbench.tasks import Task, glue
from growbench.train import checkpoint

LENGTH, LR, WARMUP, DECAY, EVAL_BATCH = 128, 5e-4, 0.1, 0.01, 128
OURS, THEIRS, CAST = "ours", "Trainer, float32", "Trainer, bf16"
PROMISE = 3.0
TASKS = ["CoLA", "SST-2", "MRPC", "STS-B", "QQP", "MNLI", "QNLI"]


def make_study(args: argparse.Namespace, folder: Path) -> Study:
    """Return the study that both sides work on. folder: the working folder, which holds the shortened files."""
    changes = {
        "study": "bench",
        "data": {"repeat": True},
        "corpus": {"tokenizer": "wordpiece", "vocab": args.vocab},
        "objective": {"length": LENGTH},
        "tasks": {"source": "local", "names": list(args.tasks)},
        "finetune": {
            "epochs": args.epochs, "lr": LR, "batch": args.batch, "warmup": WARMUP, "weight_decay": DECAY, "dropout": 0.1,
            "max_length": LENGTH,
        },
    }  # fmt: skip
    study = _study.load(changes, {"scratch": None})
    return replace(study, data=replace(study.data, dir=folder))  # whatever GROWBENCH_DATA says


def cut(task: Task, source: Path, target: Path, rows: int) -> None:
    """Copy the first rows of a task's files."""
    target.mkdir(parents=True)
    for name in (task.train_file, task.dev_file):
        with open(source / name, encoding="utf-8", newline="\n") as lines:
            first = list(islice(lines, rows + (task.header is True)))
        (target / name).write_text("".join(first), encoding="utf-8", newline="\n")


def prepare(study: Study, args: argparse.Namespace) -> tuple[Path, int]:
    """Train a tokenizer on the tasks' text and write a random BERT; return its folder and the number of examples in one run."""
    split = [glue.load(glue.task(name, study), study)[1:] for name in args.tasks]
    texts = (text for train, _ in split for row in train for text in row[0])
    encoder, _ = tokenizers.build(study, texts, study.layout.tokenizer)
    files = {path.name: durable.digest(path) for path in study.layout.tokenizer.iterdir()}
    values = {"tokenizer": {"folder": study.layout.tokenizer.name, "files": files}, "vocab": encoder.vocab}
    manifest.write(study.layout.corpus_manifest, {"version": VERSION, **values})
    family = families.load("bert")
    spec = _machine.shape("bert", args.layers, args.hidden, encoder.vocab, LENGTH)
    folder = study.layout.run("scratch", 0).point("p100")
    checkpoint.save_model(folder, family.build(family.config(spec)), identity.wanted(study, "scratch", 0))
    return folder, sum(args.epochs * len(train) + len(dev) for train, dev in split)


def ours(study: Study, tasks: Sequence[str]) -> float:
    """Run the work of `growbench finetune`; return the mean score of the tasks."""
    shutil.rmtree(study.layout.run("scratch", 0).finetuned("p100"), ignore_errors=True)  # what the round before cached
    chosen = replace(study, tasks=replace(study.tasks, names=tuple(tasks)))
    path = finetune.run(chosen, "scratch", [0], ["p100"])[0]
    return statistics.fmean(run["score"] for run in record.read(path, "finetune", "scratch", 0)["runs"])


def trainers(study: Study, folder: Path, bf16: bool, tasks: Sequence[str]) -> float:
    """Run the recipe, task after task; return the mean score."""
    return statistics.fmean(trainer(study, folder, bf16, name) for name in tasks)


def trainer(study: Study, folder: Path, bf16: bool, name: str, seed: int = 0) -> float:
    """Run the recipe on one task; return its score."""
    import datasets
    import transformers as hf

    hf.set_seed(seed)
    f = study.finetune.of(name)
    task, *splits = glue.load(glue.task(name, study), study)
    splits[0] = row_tools.cut(splits[0], f.max_train)[0]
    tokenizer = hf.AutoTokenizer.from_pretrained(study.layout.tokenizer)
    columns = [f"text{i}" for i in range(len(task.text_columns))]

    def encode(batch: Any) -> Any:
        words = [batch[column] for column in columns]
        return tokenizer(*words, max_length=LENGTH, truncation=True)

    train, dev = (
        datasets.Dataset.from_list([{**dict(zip(columns, texts, strict=True)), "label": y} for texts, y in split]).map(
            encode, batched=True
        )
        for split in splits
    )
    model = hf.AutoModelForSequenceClassification.from_pretrained(
        folder, num_labels=task.num_labels, pad_token_id=tokenizer.pad_token_id,
        hidden_dropout_prob=f.dropout, attention_probs_dropout_prob=f.dropout,
    )  # fmt: skip

    def metrics(found: Any) -> dict[str, float]:
        predicted = np.squeeze(found.predictions) if task.regression else np.argmax(found.predictions, axis=1)
        return results(task, predicted, found.label_ids)

    steps = f.epochs * -(-len(train) // f.batch)
    settings = hf.TrainingArguments(
        output_dir="trainer", per_device_train_batch_size=f.batch, per_device_eval_batch_size=EVAL_BATCH,
        num_train_epochs=f.epochs, learning_rate=f.rates[0], weight_decay=f.weight_decay, warmup_steps=round(f.warmup * steps),
        save_strategy="no", report_to="none", disable_tqdm=True, seed=seed,
        bf16=bf16, use_cpu=not torch.cuda.is_available(), dataloader_pin_memory=torch.cuda.is_available(),
    )  # fmt: skip
    run = hf.Trainer(
        model=model, args=settings, train_dataset=train, eval_dataset=dev, compute_metrics=metrics,
        processing_class=tokenizer,
        data_collator=hf.DataCollatorWithPadding(tokenizer),
    )  # fmt: skip
    run.remove_callback(hf.PrinterCallback)
    run.train()
    return float(run.evaluate()[f"eval_{task.main}"])


def quiet() -> None:
    """Turn off the progress bars and warnings of libraries, so that stderr shows the rounds only."""
    import datasets
    import transformers

    logging.disable(logging.WARNING)
    datasets.disable_progress_bars()
    transformers.utils.logging.disable_progress_bar()


def table(found: dict[str, list[Sample]], examples: int) -> str:
    """Return the Markdown table of the result; ratios are medians over the rounds."""
    rows = []
    for name, runs in found.items():
        cpu, wall = (_table.median(runs, key) for key in ("cpu", "wall"))
        ratios = [_table.ratio(runs, found[OURS], key) for key in ("cpu", "wall")]
        bar = _table.verdict(ratios[0], PROMISE) if name == THEIRS else "none"
        score = statistics.fmean(run.value for run in runs)
        numbers = (f"{cpu:.1f}", f"{wall:.1f}", f"{examples / cpu:.0f}", *(f"{r:.2f}" for r in ratios), f"{score:.3f}")
        rows.append([name, *numbers, bar])
    return _table.markdown(COLUMNS, rows)


COLUMNS = (
    "",
    "CPU, s",
    "wall, s",
    "examples / CPU s",
    "CPU / ours",
    "wall / ours",
    "mean score",
    "bar of the CPU ratio",
)


def main(words: Sequence[str] | None = None) -> int:
    """Run the benchmark in a temporary folder and print its table; with --out, put it into the page."""
    parser = _table.parser(__doc__, 2, data="glue/<task>")
    parser.add_argument("--tasks", nargs="+", default=TASKS, choices=sorted(glue.TASKS), metavar="TASK")
    parser.add_argument("--rows", type=int, default=500, help="training and development rows per task (500)")
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--hidden", type=int, default=128)
    parser.add_argument("--vocab", type=int, default=4096)
    args = parser.parse_args(words)
    source, load, here = _table.data(parser, args) / "glue", os.getloadavg()[0], Path.cwd()
    out, threads = args.out and args.out.resolve(), torch.get_num_threads()
    torch.set_num_threads(1)
    quiet()
    with tempfile.TemporaryDirectory() as name:
        for task in args.tasks:
            cut(glue.TASKS[task], source / task, Path(name) / "glue" / task, args.rows)
        os.chdir(name)
        try:
            study = make_study(args, Path(name))
            folder, examples = prepare(study, args)
            sides = {
                OURS: partial(ours, study),
                THEIRS: partial(trainers, study, folder, torch.cuda.is_available()),
                CAST: partial(trainers, study, folder, True),
            }
            for work in sides.values():
                work(args.tasks[:1])
            again = {key: lambda number, work=work: work(args.tasks) for key, work in sides.items()}
            found = _table.turns(again, args.rounds)
        finally:
            os.chdir(here)
    torch.set_num_threads(threads)
    body = (
        f"{', '.join(args.tasks)}: the first {args.rows} training and development rows of each, {args.epochs} epoch(s), batch "
        f"{args.batch}; BERT {(args.layers, args.hidden)}, vocabulary {args.vocab}, 1 thread; `precision: auto` takes {_machine.automatic()} here; medians of {args.rounds} rounds.\n\n"
    )
    _table.publish("finetune", "Fine-tuning", body + table(found, examples), load, out, words or sys.argv[1:])
    return 0


if __name__ == "__main__":
    sys.exit(main())

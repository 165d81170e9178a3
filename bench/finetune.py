"""Throughput of our fine-tuning against the Trainer recipe of `run_glue`, in turns, on one machine.

Ours: `growbench finetune` on one finished point: files read, tokenised, trained on in batches of like length, scored, recorded.
Trainer: what transformers' `run_glue.py` does with its defaults: rows tokenised by `datasets.map` and padded to 128 tokens
(`pad_to_max_length`), Trainer.train, Trainer.evaluate. Beside it the same with each batch padded to its longest row
(DataCollatorWithPadding), which a user has to ask for. Same files, model, task, batches, epochs, LR and threads; the Trainer saves
nothing, and evaluates in batches as big as ours; on a GPU both train in bf16. Imports fall into a first round, which is not counted.

At least 2 times the throughput of the recipe is promised: examples a CPU second, on a GPU a second. Trainer needs the extra `bench`:

    pip install -c constraints.txt -e '.[bench]'
    python bench/finetune.py --data <folder with glue/> --pairs 3 --out bench.md
"""

import argparse
import logging
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch

from growbench import families, finetune
from growbench.corpus import tokenizer as tokenizers
from growbench.spec import ModelSpec
from growbench.study import Finetune
from growbench.tasks import Task, glue
from growbench.train import checkpoint

LENGTH, LR, WARMUP, DECAY, EVAL_BATCH = 128, 5e-4, 0.1, 0.01, 128
SIDES = ("ours", "Trainer, padded to 128", "Trainer, padded to the batch")
PROMISE = 2.0


def make_study(args: argparse.Namespace, folder: Path) -> Any:
    """What both sides need of a study. `folder` holds the cut files and is the working folder."""
    return SimpleNamespace(
        study="bench",
        data=SimpleNamespace(dir=folder),
        corpus=SimpleNamespace(tokenizer="wordpiece", vocab=args.vocab, lowercase=True),
        tasks=SimpleNamespace(source="local", names=[args.task]),
        target=SimpleNamespace(family="bert"),
        finetune=Finetune(
            points=(1.0,), seeds=(0,), source=False, protocol="single", epochs=args.epochs, lr=LR, decay="linear",
            batch=args.batch, warmup=WARMUP, weight_decay=DECAY, dropout=0.1, max_length=LENGTH, max_train=None,
            doc_stride=128, answer_length=30, tasks={}, threads=1,
        ),
        finetuned_part=dict,
    )  # fmt: skip


def cut(task: Task, source: Path, target: Path, rows: int) -> None:
    """Copy a task's files, the training file to its first rows."""
    target.mkdir(parents=True)
    for name, most in ((task.train_file, rows + (task.header is True)), (task.dev_file, None)):
        lines = (source / name).read_text(encoding="utf-8").splitlines(keepends=True)
        (target / name).write_text("".join(lines[:most]), encoding="utf-8")


def prepare(study: Any, args: argparse.Namespace) -> tuple[Path, int]:
    """Train a tokenizer on the task's text and write a random BERT; return its folder and the examples of one run."""
    _, train, dev = glue.load(glue.task(args.task, study), study)
    root = Path("results/bench")
    encoder, _ = tokenizers.build(study, (text for row in train for text in row[0]), root / "corpus/tokenizer")
    family = families.load("bert")
    spec = ModelSpec(
        family="bert", layers=args.layers, hidden=args.hidden, heads=args.hidden // 64, ffn=4 * args.hidden,
        vocab=encoder.get_vocab_size(), max_length=LENGTH,
    )  # fmt: skip
    folder = root / "runs/scratch-s0/points/p100"
    checkpoint.save_model(folder, family.build(family.config(spec)))
    return folder, args.epochs * len(train) + len(dev)


def ours(study: Any, folder: Path) -> float:
    """Run the verb's work; return the task's score."""
    path = finetune.run(study, "scratch", [0], ["p100"])[0]
    return float(finetune.record.read(path)["runs"][0]["score"])


def trainer(study: Any, folder: Path, padded: bool) -> float:
    """Run the recipe; return the task's score. padded: every row to LENGTH, else every batch to its longest row."""
    import datasets
    import transformers as hf

    hf.set_seed(0)
    f = study.finetune
    task, *splits = glue.load(glue.task(study.tasks.names[0], study), study)
    tokenizer = hf.AutoTokenizer.from_pretrained(Path("results/bench/corpus/tokenizer"))
    columns = [f"text{i}" for i in range(len(task.text_columns))]

    def encode(rows: Any) -> Any:
        words = [rows[name] for name in columns]
        return tokenizer(*words, padding="max_length" if padded else False, max_length=LENGTH, truncation=True)

    train, dev = (
        datasets.Dataset.from_list([{**dict(zip(columns, texts, strict=True)), "label": y} for texts, y in rows]).map(
            encode, batched=True
        )
        for rows in splits
    )
    model = hf.AutoModelForSequenceClassification.from_pretrained(
        folder, num_labels=task.num_labels, pad_token_id=tokenizer.pad_token_id,
        hidden_dropout_prob=f.dropout, attention_probs_dropout_prob=f.dropout,
    )  # fmt: skip

    def metrics(found: Any) -> dict[str, float]:
        predicted = np.squeeze(found.predictions) if task.regression else np.argmax(found.predictions, axis=1)
        return finetune.results(task, predicted, found.label_ids)

    steps = f.epochs * -(-len(train) // f.batch)
    settings = hf.TrainingArguments(
        output_dir="trainer", per_device_train_batch_size=f.batch, per_device_eval_batch_size=EVAL_BATCH,
        num_train_epochs=f.epochs, learning_rate=f.lr, weight_decay=f.weight_decay, warmup_steps=round(f.warmup * steps),
        save_strategy="no", report_to="none", disable_tqdm=True, seed=0,
        bf16=torch.cuda.is_available(), dataloader_pin_memory=torch.cuda.is_available(),
    )  # fmt: skip
    run = hf.Trainer(
        model=model, args=settings, train_dataset=train, eval_dataset=dev, compute_metrics=metrics,
        processing_class=tokenizer,
        data_collator=hf.default_data_collator if padded else hf.DataCollatorWithPadding(tokenizer),
    )  # fmt: skip
    run.remove_callback(hf.PrinterCallback)
    run.train()
    return float(run.evaluate()[f"eval_{task.main}"])


def quiet() -> None:
    """Keep stderr for the rounds: no progress bars, no warnings of libraries."""
    import datasets
    import transformers

    logging.disable(logging.WARNING)
    datasets.disable_progress_bars()
    transformers.utils.logging.disable_progress_bar()


def timed(work: Callable[[], float]) -> tuple[float, float, float]:
    """Return CPU seconds, wall seconds and the score."""
    cpu, wall = time.process_time(), time.perf_counter()
    score = work()
    return time.process_time() - cpu, time.perf_counter() - wall, score


def measure(study: Any, folder: Path, pairs: int) -> dict[str, list[tuple[float, float, float]]]:
    """Run all sides in turns, the order reversed every other time; a first round warms them up and is not counted."""
    work: dict[str, Callable[[], float]] = {
        SIDES[0]: lambda: ours(study, folder),
        SIDES[1]: lambda: trainer(study, folder, True),
        SIDES[2]: lambda: trainer(study, folder, False),
    }
    found: dict[str, list[tuple[float, float, float]]] = {name: [] for name in SIDES}
    for number in range(pairs + 1):
        for name in SIDES if number % 2 else reversed(SIDES):
            result = timed(work[name])
            if number:
                found[name].append(result)
            print(f"{number}/{pairs} {name}: CPU {result[0]:.1f} s, wall {result[1]:.1f} s", file=sys.stderr)
    return found


def table(found: dict[str, list[tuple[float, float, float]]], examples: int, head: str) -> str:
    """The result as a Markdown table; ratios are medians over the pairs."""
    rows = [head, "", "| | CPU, s | wall, s | examples / CPU s | CPU / ours | wall / ours | score | promise |"]
    rows.append("|---|---|---|---|---|---|---|---|")
    for name, runs in found.items():
        cpu, wall, score = (statistics.median(run[i] for run in runs) for i in range(3))
        ratios = [statistics.median(a[i] / b[i] for a, b in zip(runs, found[SIDES[0]], strict=True)) for i in range(2)]
        kept = "kept" if ratios[torch.cuda.is_available()] >= PROMISE else "BROKEN"
        promise = f"at least {PROMISE:g}: {kept}" if name == SIDES[1] else ""
        values = (f"{cpu:.1f}", f"{wall:.1f}", f"{examples / cpu:.0f}", *(f"{r:.2f}" for r in ratios), f"{score:.3f}")
        rows.append(f"| {name} | {' | '.join(values)} | {promise} |")
    return "\n".join(rows) + "\n"


def main() -> int:
    """Run the benchmark in a temporary folder and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=os.environ.get("GROWBENCH_DATA"), help="folder with glue/<task>/")
    parser.add_argument("--task", default="SST-2", choices=sorted(glue.TASKS))
    parser.add_argument("--rows", type=int, default=1000, help="training rows (1000)")
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--hidden", type=int, default=128)
    parser.add_argument("--vocab", type=int, default=4096)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--out", type=Path, help="also write the table here")
    args = parser.parse_args()
    if args.data is None:
        parser.error("--data: no folder; give one, or set GROWBENCH_DATA")
    torch.set_num_threads(1)
    quiet()
    out, source = args.out and args.out.resolve(), Path(args.data).resolve() / "glue" / args.task
    with tempfile.TemporaryDirectory() as name:
        cut(glue.TASKS[args.task], source, Path(name) / "glue" / args.task, args.rows)
        os.chdir(name)
        study = make_study(args, Path(name))
        folder, examples = prepare(study, args)
        found = measure(study, folder, args.pairs)
        os.chdir("/")
    head = (
        f"{args.task}, {args.rows} training rows, {args.epochs} epoch(s), batch {args.batch}; BERT ({args.layers}, "
        f"{args.hidden}), vocabulary {args.vocab}, 1 thread, medians of {args.pairs} rounds"
    )
    text = table(found, examples, head)
    sys.stdout.write(text)
    if out:
        out.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Masked-LM pre-training: our loop against transformers' Trainer with the recipe of `run_mlm`, in turns.

Ours: the loop of `growbench pretrain`, in the precision that `train.precision: auto` takes here, and in float32. The head is
applied to masked positions only, and freed memory is reused. Trainer: the same stock BertForMaskedLM with
DataCollatorForLanguageModeling and Trainer.train, as in `run_mlm.py`, in float32 (its default) and with `bf16=True`. The
sides share everything else: weights, the order of the sequences, batch, LR curve (linear), AdamW, clipping, and the dropout
(`--dropout`; 0 as in the studies, 0.1 as in stock BERT). Masks are drawn by each side in its own way. The Trainer saves and
logs nothing. The first steps are not timed.

First table: speed. A round has its own seed. The machine's matmul rate is measured in every round, in both precisions: the
best of several square matmuls, in FLOPs per CPU second. Our FLOPs are those of the ledger (docs/PROTOCOL.md), and the share
is of the rate in the same precision. Second table: the loss of both sides after the same tokens, over several seeds. One
function measures it in float32, with the same masks for every model.

    python bench/pretrain.py --data <folder with wikipedia/> --out docs/BENCHMARKS.md
"""

import argparse
import os
import statistics
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import _machine
import _table
import _text
import numpy as np
import torch
from _table import Sample

from growbench import families
from growbench.pipeline.corpus.tokenizer import SPECIAL
from growbench.runtime.memory import reuse_freed_memory
from growbench.spec import ModelSpec
from growbench.train.data import PackedSequences
from growbench.train.objective import MaskedLM

RATE, LR, DECAY, VALID_WINDOWS = 0.15, 1e-3, 0.01, 256
Bars = tuple[float | None, float | None, float | None]
BARS: dict[
    tuple[int, int], Bars
] = {  # by shape: times the Trainer in float32, times the Trainer in bf16, share of the matmul rate
    (4, 128): (5.0, 3.0, 0.55),
    (6, 256): (4.0, 2.5, 0.65),
}
NO_BARS: Bars = (None, None, None)
TRAINERS = ("float32", "bf16")
Found = dict[str, list[Sample]]


@dataclass(frozen=True)
class Trained:
    """A trained model. flops: of the timed steps, as our ledger counts them; 0 on the Trainer's side."""

    model: Any
    flops: float = 0.0


class Case:
    """One shape on one text.

    ids: training tokens. valid: validation tokens.
    steps: of a training.
    """

    def __init__(
        self, spec: ModelSpec, tokenizer: Any, ids: np.ndarray, valid: np.ndarray, args: argparse.Namespace, steps: int
    ) -> None:
        self.spec, self.tokenizer, self.ids, self.valid, self.args = spec, tokenizer, ids, valid, args
        self.cls, self.mask = (tokenizer.token_to_id(SPECIAL[key]) for key in ("cls", "mask"))
        self.objective = MaskedLM(RATE, self.mask, spec.vocab)
        self.steps, self.warmup = steps, max(1, steps // 10)

    def model(self, seed: int) -> Any:
        family = families.load("bert")
        return family.build(family.config(self.spec, **family.dropout(self.args.dropout)), seed=seed)

    def windows(self, seed: int) -> PackedSequences:
        return PackedSequences(self.ids, self.args.length, self.cls, seed)

    def loss(self, model: Any) -> float:
        """Return the validation loss in nats."""
        return _machine.validation(self.spec, model, self.objective, self.valid, self.args.length, self.cls)

    def ours(self, precision: str, seed: int) -> Sample:
        """Train with our loop. The loss is read every 20 steps, as in a run."""
        model, watch = self.model(seed), _machine.Stopwatch(self.steps)
        made = _machine.trainer(
            self.spec, model, self.objective, self.windows(seed), self.args.batch, decay=DECAY, precision=precision
        )  # fmt: skip
        with reuse_freed_memory():
            for step in range(self.steps):
                value = made.step(step, _machine.linear(step, self.steps, self.warmup, LR))
                if step % 20 == 19:
                    float(value)
                watch.passed(step + 1)
        return watch.sample(Trained(model, (self.steps - _machine.SKIPPED) * made.cost.flops))

    def theirs(self, precision: str, seed: int) -> Sample:
        """Train with transformers' Trainer on the sequences that our loop reads."""
        import transformers as hf

        fast = hf.PreTrainedTokenizerFast(
            tokenizer_object=self.tokenizer, **{f"{key}_token": token for key, token in SPECIAL.items()}
        )
        windows, model, watch = self.windows(seed), self.model(seed), _machine.Stopwatch(self.steps)
        rows = [row.tolist() for step in range(self.steps) for row in windows.batch(step, self.args.batch)]

        class Timed(hf.TrainerCallback):
            def on_step_end(self, args: Any, state: Any, control: Any, **others: Any) -> None:
                watch.passed(state.global_step)

        with tempfile.TemporaryDirectory() as folder:
            settings = hf.TrainingArguments(
                output_dir=folder, per_device_train_batch_size=self.args.batch, num_train_epochs=1, learning_rate=LR,
                weight_decay=DECAY, warmup_steps=self.warmup, save_strategy="no", report_to="none", disable_tqdm=True,
                seed=seed, dataloader_pin_memory=False, use_cpu=True, logging_strategy="no", bf16=precision == "bf16",
            )  # fmt: skip
            run = hf.Trainer(
                model=model, args=settings, train_dataset=_dataset(rows, fast), callbacks=[Timed()],
                data_collator=hf.DataCollatorForLanguageModeling(fast, mlm_probability=RATE),
            )  # fmt: skip
            run.remove_callback(hf.PrinterCallback)
            run.train()
        return watch.sample(Trained(model))


def _dataset(rows: list[list[int]], fast: Any) -> Any:
    """Return the rows as a dataset with the columns that `run_mlm` has after it groups the text."""
    import datasets

    special = [[int(token in fast.all_special_ids) for token in row] for row in rows]
    return datasets.Dataset.from_dict(
        {
            "input_ids": rows,
            "token_type_ids": [[0] * len(row) for row in rows],
            "attention_mask": [[1] * len(row) for row in rows],
            "special_tokens_mask": special,
        }
    )


def rate(args: argparse.Namespace, precision: str, number: int) -> Sample:
    """Return a sample whose value is the machine's matmul rate."""
    found: list[float] = []
    dtype = _machine.DTYPES[precision]
    sample = _table.timed(lambda: found.append(_machine.matmul_rate(torch.device("cpu"), dtype, work=args.matmul)))
    return Sample(sample.cpu, sample.wall, found[0])


def sides(case: Case) -> dict[str, Callable[[int], Sample]]:
    """Return what is timed in each round: our loop and the matmul rate in each of our precisions, and the Trainers."""
    made: dict[str, Callable[[int], Sample]] = {}
    for precision in _machine.precisions():
        made[f"ours, {precision}"] = partial(case.ours, precision)
        made[f"matmul, {precision}"] = partial(rate, case.args, precision)
    return made | {f"Trainer, {precision}": partial(case.theirs, precision) for precision in TRAINERS}


def speed(case: Case, threads: int, found: Found) -> list[list[str]]:
    """Return the rows of one shape with one number of threads: one for each of our precisions, the bars in the first."""
    shape = (case.spec.layers, case.spec.hidden)
    bars = BARS.get(shape, NO_BARS)
    tokens = (case.steps - _machine.SKIPPED) * case.args.batch * case.args.length
    trainers = [found[f"Trainer, {precision}"] for precision in TRAINERS]
    rows = []
    for precision in _machine.precisions():
        ours, matmul = found[f"ours, {precision}"], found[f"matmul, {precision}"]
        shares = [s.value.flops / s.cpu / machine.value for s, machine in zip(ours, matmul, strict=True)]
        cells = [f"{tokens / _table.median(side, 'cpu'):,.0f}" for side in (ours, *trainers)]
        for trainer, bar in zip(trainers, bars, strict=False):
            cells += judged(_table.ratio(trainer, ours, "cpu"), bar, ".2f")
        cells += [
            f"{statistics.median(s.value for s in matmul) / 1e9:.1f}",
            *judged(statistics.median(shares), bars[-1], ".1%"),
        ]
        rows.append([f"{shape}, {threads}, {precision}", *cells])
        bars = NO_BARS
    return rows


def judged(value: float, bar: float | None, form: str) -> list[str]:
    """Return the cells of a value and of its bar."""
    return [format(value, form), "none" if bar is None else _table.verdict(value, bar)]


def losses(case: Case) -> list[list[str]]:
    """Train both sides with every seed; return the rows of their losses, each against the first one, the Trainer's."""
    trained = {
        "Trainer, float32": partial(case.theirs, "float32"),
        **{f"ours, {precision}": partial(case.ours, precision) for precision in _machine.precisions()},
    }
    found = _table.turns(trained, case.args.seeds, _table.own)
    values = {name: [case.loss(sample.value.model) for sample in samples] for name, samples in found.items()}
    first, *others = values.values()
    rows = [[name, spread(of), *("none",) * 3] for name, of in values.items()]
    for row, own in zip(rows[1:], others, strict=True):
        row[2:] = compared([a - b for a, b in zip(own, first, strict=True)], statistics.stdev(first))
    return rows


def compared(differences: Sequence[float], deviation: float) -> list[str]:
    """Return the cells of the differences between two sides, one for each seed. deviation: over the seeds of the reference."""
    above = sum(difference > 0 for difference in differences)
    within, mixed = abs(statistics.fmean(differences)) <= deviation, 0 < above < len(differences)
    missed = [*([] if within else ["larger"]), *([] if mixed else ["one sign"])]
    verdict = f"missed ({', '.join(missed)})" if missed else "met"
    return [spread(differences), f"{above} of {len(differences)}", f"within the deviation, both signs: {verdict}"]


def spread(values: Sequence[float]) -> str:
    """Return the mean ± the standard deviation."""
    deviation = f" ± {statistics.stdev(values):.4f}" if len(values) > 1 else ""
    return f"{statistics.fmean(values):.4f}{deviation}"


SPEED = (
    "(layers, hidden), threads, ours in", "ours, tokens / CPU s", "Trainer float32", "Trainer bf16",
    "CPU, Trainer float32 / ours", "bar", "CPU, Trainer bf16 / ours", "bar", "matmul, GFLOPs / CPU s", "ours, share of it", "bar",
)  # fmt: skip
LOSSES = ("side", "validation loss", "minus the Trainer's", "seeds above the Trainer", "bar")


def main(words: Sequence[str] | None = None) -> int:
    """Run the benchmark and print its tables; with --out, put them into the page."""
    parser = _table.parser(__doc__, 3, data="wikipedia")
    _machine.arguments(parser, batch=32, threads=[1])
    parser.add_argument("--matmul", type=float, default=4e10, help="FLOPs of one measurement of the matmul rate")
    parser.add_argument("--dropout", type=float, default=0.0, help="of both sides (0)")
    parser.add_argument("--seeds", type=int, default=5, help="of the table of losses; 0 leaves it out (5)")
    parser.add_argument("--loss-steps", type=int, default=20, help="steps of a training in the table of losses (20)")
    args = parser.parse_args(words)
    if args.seeds == 1:
        parser.error("--seeds: 1 has no spread; use 0, or at least 2")
    load, folder = os.getloadavg()[0], _table.data(parser, args) / "wikipedia"
    tokenizer = _text.vocabulary(folder / "valid.txt", args.vocab)
    args.vocab, timed = tokenizer.get_vocab_size(), args.steps + _machine.SKIPPED
    needed = (max(timed, args.loss_steps) * args.batch + 1) * (args.length - 1)
    ids = _text.text_ids(folder / "valid.txt", tokenizer, needed)
    valid = _text.text_ids(folder / "test.txt", tokenizer, VALID_WINDOWS * (args.length - 1))
    rows = []
    for threads, spec in _machine.settings("bert", args.vocab, args):
        case = Case(spec, tokenizer, ids, valid, args, timed)
        rows += speed(case, threads, _table.turns(sides(case), args.rounds, _table.own))
    body = described(args) + _table.markdown(SPEED, rows)
    if args.seeds:
        _, spec = next(_machine.settings("bert", args.vocab, args))
        after = args.loss_steps * args.batch * args.length
        body += f"\nLosses of {(spec.layers, spec.hidden)} after {after:,} tokens, mean ± standard deviation over {args.seeds} seeds.\n\n"
        body += _table.markdown(LOSSES, losses(Case(spec, tokenizer, ids, valid, args, args.loss_steps)))
    _table.publish("pretrain", "Masked-LM pre-training", body, load, args.out, words or sys.argv[1:])
    return 0


def described(args: argparse.Namespace) -> str:
    """Return the line above the tables."""
    return (
        f"BERT, vocabulary {args.vocab}, sequences of {args.length}, batch {args.batch}, Wikipedia text, dropout {args.dropout:g} on "
        f"all sides; `precision: auto` takes {_machine.automatic()} here. Speed: {args.steps} steps, medians of {args.rounds} rounds "
        "in turns.\n\n"
    )


if __name__ == "__main__":
    sys.exit(main())

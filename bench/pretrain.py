"""Masked-LM pre-training: our loop against transformers' Trainer with the recipe of `run_mlm`, in turns.

Ours: the loop of `growbench pretrain` as the studies use it. The head is applied to masked positions only, there is no
dropout, and freed memory is reused. Trainer: BertForMaskedLM with its stock settings (dropout 0.1),
DataCollatorForLanguageModeling and Trainer.train, as in `run_mlm.py` with its defaults. Both start from the same weights and
read the same sequences of the same text, with the same batch, LR curve (linear), AdamW and clipping. The Trainer saves and
logs nothing. Only training is timed: models and text are ready before. Afterwards one function measures both models on the
same masked validation text.

Each round has its own seed (weights, order, masks). The machine's float32 matmul rate is measured in every round, between
the sides: the best of several square matmuls, in FLOPs per CPU second. Our FLOPs are those of the ledger (docs/PROTOCOL.md).

    python bench/pretrain.py --data <folder with wikipedia/> --out docs/BENCHMARKS.md
"""

import argparse
import os
import statistics
import sys
import tempfile
from collections.abc import Sequence
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
BARS = {(4, 128): 3.2, (6, 256): 2.5}
SHARE = 0.7
OURS, THEIRS, MATMUL = "ours", "Trainer", "matmul"


class Case:
    """One shape on one text. ids: training tokens. valid: validation tokens."""

    def __init__(
        self, spec: ModelSpec, tokenizer: Any, ids: np.ndarray, valid: np.ndarray, args: argparse.Namespace
    ) -> None:
        self.spec, self.tokenizer, self.ids, self.valid, self.args = spec, tokenizer, ids, valid, args
        self.cls, self.mask = (tokenizer.token_to_id(SPECIAL[key]) for key in ("cls", "mask"))
        self.objective = MaskedLM(RATE, self.mask, spec.vocab)
        self.warmup = max(1, args.steps // 10)

    def model(self, seed: int, dropout: float) -> Any:
        family = families.load("bert")
        return family.build(family.config(self.spec, **family.dropout(dropout)), seed=seed)

    def windows(self, seed: int) -> PackedSequences:
        return PackedSequences(self.ids, self.args.length, self.cls, seed)

    def scored(self, sample: Sample, model: Any, flops: float = 0.0) -> Sample:
        loss = _machine.validation(self.spec, model, self.objective, self.valid, self.args.length, self.cls)
        return Sample(sample.cpu, sample.wall, _machine.Trained(loss=loss, flops=flops))

    def ours(self, seed: int) -> Sample:
        """Train with our loop. The loss is read every 20 steps, as in a run."""
        steps, model = self.args.steps, self.model(seed, 0.0)
        made = _machine.trainer(
            self.spec, model, self.objective, self.windows(seed), self.args.batch, decay=DECAY
        )  # fmt: skip

        def train() -> None:
            for step in range(steps):
                value = made.step(step, _machine.linear(step, steps, self.warmup, LR))
                if step % 20 == 19:
                    float(value)

        with reuse_freed_memory():
            sample = _table.timed(train)
        return self.scored(sample, model, steps * made.cost.flops)

    def theirs(self, seed: int) -> Sample:
        """Train with transformers' Trainer on the sequences that our loop reads."""
        import transformers as hf

        fast = hf.PreTrainedTokenizerFast(
            tokenizer_object=self.tokenizer, **{f"{key}_token": token for key, token in SPECIAL.items()}
        )
        windows, model = self.windows(seed), self.model(seed, 0.1)
        rows = [row.tolist() for step in range(self.args.steps) for row in windows.batch(step, self.args.batch)]
        with tempfile.TemporaryDirectory() as folder:
            settings = hf.TrainingArguments(
                output_dir=folder, per_device_train_batch_size=self.args.batch, num_train_epochs=1, learning_rate=LR,
                weight_decay=DECAY, warmup_steps=self.warmup, save_strategy="no", report_to="none", disable_tqdm=True,
                seed=seed, dataloader_pin_memory=False, use_cpu=True, logging_strategy="no",
            )  # fmt: skip
            run = hf.Trainer(
                model=model, args=settings, train_dataset=_dataset(rows, fast),
                data_collator=hf.DataCollatorForLanguageModeling(fast, mlm_probability=RATE),
            )  # fmt: skip
            run.remove_callback(hf.PrinterCallback)
            return self.scored(_table.timed(run.train), model)


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


def rate(args: argparse.Namespace, number: int) -> Sample:
    """Return a sample whose value is the machine's matmul rate."""
    found: list[float] = []
    sample = _table.timed(
        lambda: found.append(_machine.matmul_rate(torch.device("cpu"), torch.float32, work=args.matmul))
    )
    return Sample(sample.cpu, sample.wall, found[0])


def row(case: Case, threads: int, found: dict[str, list[Sample]]) -> list[str]:
    """Return the table row of one shape with one number of threads."""
    ours, theirs = found[OURS], found[THEIRS]
    tokens = case.args.steps * case.args.batch * case.args.length
    times = _table.ratio(theirs, ours, "cpu")
    rates = [sample.value.flops / sample.cpu for sample in ours]
    share = statistics.median(rate / machine.value for rate, machine in zip(rates, found[MATMUL], strict=True))
    shape = (case.spec.layers, case.spec.hidden)
    bar = BARS.get(shape)
    return [
        f"{shape}, {threads}",
        *(f"{tokens / _table.median(side, 'cpu'):,.0f}" for side in (ours, theirs)),
        f"{times:.2f}",
        _table.verdict(times, bar) if bar else "none",
        f"{_table.ratio(theirs, ours, 'wall'):.2f}",
        *(spread([sample.value.loss for sample in side]) for side in (ours, theirs)),
        f"{statistics.median(s.value for s in found[MATMUL]) / 1e9:.1f}",
        f"{share:.1%}",
        _table.verdict(share, SHARE) if shape == (6, 256) else "none",
    ]


def spread(values: Sequence[float]) -> str:
    """Return the mean ± the standard deviation."""
    deviation = f" ± {statistics.stdev(values):.4f}" if len(values) > 1 else ""
    return f"{statistics.fmean(values):.4f}{deviation}"


COLUMNS = (
    "(layers, hidden), threads", "ours, tokens / CPU s", "Trainer, tokens / CPU s", "CPU, Trainer / ours", "bar",
    "wall, Trainer / ours", "ours, validation loss", "Trainer, validation loss", "matmul, GFLOPs / CPU s",
    "ours, share of it", "bar of the share",
)  # fmt: skip


def main(words: Sequence[str] | None = None) -> int:
    """Run the benchmark and print its table; with --out, put it into the page."""
    parser = _table.parser(__doc__, 3, data="wikipedia")
    _machine.arguments(parser, batch=32)
    parser.add_argument("--matmul", type=float, default=4e10, help="FLOPs of one measurement of the matmul rate")
    args = parser.parse_args(words)
    load, folder = os.getloadavg()[0], _table.data(parser, args) / "wikipedia"
    tokenizer = _text.vocabulary(folder / "valid.txt", args.vocab)
    vocab = tokenizer.get_vocab_size()
    needed = (args.steps * args.batch + 1) * (args.length - 1)
    ids = _text.text_ids(folder / "valid.txt", tokenizer, needed)
    valid = _text.text_ids(folder / "test.txt", tokenizer, VALID_WINDOWS * (args.length - 1))
    rows = []
    for threads, spec in _machine.settings("bert", vocab, args):
        case = Case(spec, tokenizer, ids, valid, args)
        sides = {OURS: case.ours, MATMUL: partial(rate, args), THEIRS: case.theirs}
        rows.append(row(case, threads, _table.turns(sides, args.rounds, _table.own)))
    body = (
        f"BERT, vocabulary {vocab}, sequences of {args.length}, batch {args.batch}, {args.steps} steps, Wikipedia text; "
        f"medians of {args.rounds} rounds in turns, losses mean ± standard deviation over the rounds' seeds.\n\n"
        + _table.markdown(COLUMNS, rows)
    )
    _table.publish("pretrain", "Masked-LM pre-training", body, load, args.out, words or sys.argv[1:])
    return 0


if __name__ == "__main__":
    sys.exit(main())

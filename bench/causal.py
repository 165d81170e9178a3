"""Causal-LM pre-training: our loop with the stock GPT-2 against a minimal loop in the style of nanoGPT, in turns.

Reference: a GPT-2 and a training loop that are as short and fast as nanoGPT's, in the same precision as ours. One module per
part of a block, a tied head on every position, random offsets into the ids, AdamW with two groups, clipping, no dropout, no
bias in linear layers and norms (nanoGPT's default), autocast for bf16. What was faster of two was taken: AdamW's fused kernel;
F.scaled_dot_product_attention in float32, and nanoGPT's other attention, two products around a softmax, in bf16; GELU with the
error function. The loss is read at every 10th step. Ours: the loop of `growbench pretrain` on GPT2LMHeadModel, which has
biases. Both have the same shape, text, batch, LR curve and tokens per step. The first steps are not timed.

    python bench/causal.py --data <folder with wikipedia/> --out docs/BENCHMARKS.md
"""

import argparse
import os
import sys
from collections.abc import Sequence
from functools import partial

import _machine
import _table
import _text
import numpy as np
import torch
import torch.nn.functional as F
from _table import Sample
from torch import Tensor, nn

from growbench import families
from growbench.runtime.memory import reuse_freed_memory
from growbench.spec import ModelSpec
from growbench.train.data import PackedSequences
from growbench.train.objective import CausalLM

LR, DECAY, BETAS, BAR = 1e-3, 0.1, (0.9, 0.95), 1.2
OURS, THEIRS = "ours", "reference"


class Norm(nn.Module):
    """LayerNorm without a bias."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(hidden))

    def forward(self, x: Tensor) -> Tensor:
        return F.layer_norm(x, self.weight.shape, self.weight, None, 1e-5)


class Block(nn.Module):
    """x + attention(norm(x)), x + mlp(norm(x))."""

    future: Tensor  # [T, T], minus infinity where a position may not look

    def __init__(self, spec: ModelSpec) -> None:
        super().__init__()
        self.heads, hidden = spec.heads, spec.hidden
        self.norm_1, self.norm_2 = Norm(hidden), Norm(hidden)
        self.qkv, self.out = nn.Linear(hidden, 3 * hidden, bias=False), nn.Linear(hidden, hidden, bias=False)
        self.up, self.down = nn.Linear(hidden, spec.ffn, bias=False), nn.Linear(spec.ffn, hidden, bias=False)
        future = torch.full((spec.max_length, spec.max_length), float("-inf")).triu(1)
        self.register_buffer("future", future, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        rows, length, hidden = x.shape
        parts = self.qkv(self.norm_1(x)).split(hidden, dim=2)
        q, k, v = (part.view(rows, length, self.heads, -1).transpose(1, 2) for part in parts)
        mixed = self.attended(q, k, v)
        x = x + self.out(mixed.transpose(1, 2).contiguous().view(rows, length, hidden))
        return x + self.down(F.gelu(self.up(self.norm_2(x))))

    def attended(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Return causal attention, [B, heads, T, d], by the faster way in the dtype at hand."""
        if q.dtype == torch.float32:
            return F.scaled_dot_product_attention(q, k, v, is_causal=True)
        scores = q @ k.transpose(2, 3) * q.shape[-1] ** -0.5
        return (scores + self.future[: q.shape[2], : q.shape[2]].to(q.dtype)).softmax(-1) @ v


class Gpt(nn.Module):
    """The model; forward returns the mean loss in nats over all positions of ids [B, T] and targets [B, T]."""

    def __init__(self, spec: ModelSpec) -> None:
        super().__init__()
        self.tokens, self.places = nn.Embedding(spec.vocab, spec.hidden), nn.Embedding(spec.max_length, spec.hidden)
        self.blocks = nn.ModuleList(Block(spec) for _ in range(spec.layers))
        self.norm = Norm(spec.hidden)
        self.head = nn.Linear(spec.hidden, spec.vocab, bias=False)
        for parameter in self.parameters():
            if parameter.dim() > 1:
                nn.init.normal_(parameter, std=0.02)
        self.head.weight = self.tokens.weight

    def forward(self, ids: Tensor, targets: Tensor) -> Tensor:
        x = self.tokens(ids) + self.places(torch.arange(ids.shape[1], device=ids.device))
        for block in self.blocks:
            x = block(x)
        logits = self.head(self.norm(x))
        return F.cross_entropy(logits.view(-1, logits.shape[-1]), targets.view(-1))


def reference(spec: ModelSpec, precision: str, ids: np.ndarray, args: argparse.Namespace, seed: int) -> Sample:
    """Train the reference model; the value is its last loss."""
    torch.manual_seed(seed)
    model, steps = Gpt(spec), args.steps + _machine.SKIPPED
    groups = [
        {"params": [p for p in model.parameters() if (p.dim() > 1) is decayed], "weight_decay": DECAY * decayed}
        for decayed in (True, False)
    ]
    opt, watch = torch.optim.AdamW(groups, lr=LR, betas=BETAS, fused=True), _machine.Stopwatch(steps)

    def batch() -> tuple[Tensor, Tensor]:
        offsets = torch.randint(len(ids) - args.length, (args.batch,))
        return tuple(
            torch.stack([torch.from_numpy(ids[o + shift : o + shift + args.length]) for o in offsets])
            for shift in (0, 1)
        )  # type: ignore[return-value]

    for step in range(steps):
        for group in opt.param_groups:
            group["lr"] = _machine.linear(step, steps, max(1, steps // 10), LR)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=precision == "bf16"):
            loss = model(*batch())
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        opt.step()
        opt.zero_grad(set_to_none=True)
        if step % 10 == 0:
            loss.item()
        watch.passed(step + 1)
    return watch.sample(loss.item())


def ours(spec: ModelSpec, precision: str, ids: np.ndarray, args: argparse.Namespace, seed: int) -> Sample:
    """Train the stock model with our loop; the value is its last loss."""
    family, steps = families.load("gpt2"), args.steps + _machine.SKIPPED
    model = family.build(family.config(spec, **family.dropout(0.0)), seed=seed)
    windows, watch = PackedSequences(ids, args.length, 2, seed), _machine.Stopwatch(steps)
    made = _machine.trainer(spec, model, CausalLM(), windows, args.batch, decay=DECAY, precision=precision)
    with reuse_freed_memory():
        for step in range(steps):
            loss = made.step(step, _machine.linear(step, steps, max(1, steps // 10), LR))
            if step % 20 == 19:
                float(loss)
            watch.passed(step + 1)
    return watch.sample(float(loss))


COLUMNS = (
    "(layers, hidden), batch x length, threads, precision", "ours, tokens / CPU s", "reference, tokens / CPU s",
    "CPU, reference / ours", "bar", "wall, reference / ours", "ours, last loss", "reference, last loss",
)  # fmt: skip


def row(name: str, found: dict[str, list[Sample]], tokens: int) -> list[str]:
    """Return a row of the table. tokens: of the timed steps."""
    a, b = found[OURS], found[THEIRS]
    times = _table.ratio(b, a, "cpu")
    return [
        name,
        *(f"{tokens / _table.median(side, 'cpu'):,.0f}" for side in (a, b)),
        f"{times:.2f}",
        _table.verdict(times, BAR),
        f"{_table.ratio(b, a, 'wall'):.2f}",
        *(f"{sum(s.value for s in side) / len(side):.3f}" for side in (a, b)),
    ]


def main(words: Sequence[str] | None = None) -> int:
    """Run the benchmark and print its table; with --out, put it into the page."""
    parser = _table.parser(__doc__, 3, data="wikipedia")
    _machine.arguments(parser, batch=16, threads=[1, 2])
    args = parser.parse_args(words)
    load, folder = os.getloadavg()[0], _table.data(parser, args) / "wikipedia"
    tokenizer = _text.vocabulary(folder / "valid.txt", args.vocab)
    needed = ((args.steps + _machine.SKIPPED) * args.batch + 1) * (args.length - 1)
    ids = _text.text_ids(folder / "valid.txt", tokenizer, needed)
    rows = []
    for threads, spec in _machine.settings("gpt2", tokenizer.get_vocab_size(), args):
        for precision in _machine.precisions():
            sides = {
                side: partial(train, spec, precision, ids, args) for side, train in ((OURS, ours), (THEIRS, reference))
            }
            name = f"{(spec.layers, spec.hidden)}, {args.batch} x {args.length}, {threads}, {precision}"
            found = _table.turns(sides, args.rounds, _table.own)
            rows.append(row(name, found, args.steps * args.batch * args.length))
    body = (
        f"GPT-2, vocabulary {tokenizer.get_vocab_size()}, {args.steps} steps, Wikipedia text; `precision: auto` takes "
        f"{_machine.automatic()} here; medians of {args.rounds} rounds in turns. Losses are of the last training batch, which each "
        "side draws in its own way.\n\n" + _table.markdown(COLUMNS, rows)
    )
    _table.publish("causal", "Causal-LM pre-training", body, load, args.out, words or sys.argv[1:])
    return 0


if __name__ == "__main__":
    sys.exit(main())

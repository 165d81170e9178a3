"""Would several seeds train faster as one batched model? One step of all seeds in three ways, in turns.

- separate: one step of every seed's own trainer, as `growbench pretrain` takes it.
- stacked: one model whose weights are [seeds, ...]. Its leaf modules read a batch as [seeds, rows] and multiply with bmm
  and baddbmm; the stock forward pass runs unchanged on the rows of all seeds. Every seed has its own batch, its own clipping
  and its own moments, and the losses of both ways agree up to rounding.
- one model on the rows of all seeds: no grouping at all. It is what stacking would cost if grouping were free.

    python bench/seeds.py --out docs/BENCHMARKS.md
"""

import copy
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any

import _table
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from growbench import families
from growbench.runtime.memory import reuse_freed_memory
from growbench.spec import ModelSpec
from growbench.train import build, cross_entropy
from growbench.train.batches import Batches
from growbench.train.data import PackedSequences
from growbench.train.device import Compute
from growbench.train.loop import Trainer
from growbench.train.objective import Batch, CausalLM, logits
from growbench.train.optimizer import set_lr

VOCAB, LENGTH, BATCH, LR, BAR, STEPS = 1024, 128, 16, 1e-3, 1.8, 5
CASES = {"bf16": (torch.float32, torch.bfloat16), "float32": (torch.float32, None), "float64": (torch.float64, None)}
SEPARATE, STACKED, WIDE = "separate", "stacked", "one model"


def trainer(shape: tuple[int, int], precision: str, seed: int, models: int = 1) -> Trainer:
    """Return the trainer of one seed's GPT-2. shape: its layers and hidden size. models: as many times the rows of one seed."""
    layers, hidden = shape
    spec = ModelSpec(
        family="gpt2", layers=layers, hidden=hidden, heads=max(1, hidden // 32), ffn=4 * hidden, vocab=VOCAB,
        max_length=LENGTH,
    )  # fmt: skip
    family = families.load("gpt2")
    model = family.build(family.config(spec, **family.dropout(0.0)), seed=seed)
    ids = np.random.default_rng(0).integers(0, VOCAB, 2000 * LENGTH)
    batches = Batches(PackedSequences(ids, LENGTH, 2, seed), CausalLM(), models * BATCH)
    compute = Compute(torch.device("cpu"), *CASES[precision])
    return build.trainer(family, model, batches, None, build.Recipe(), compute=compute)  # type: ignore[arg-type]


class Stack(nn.Module):
    """The same module of several seeds; the inputs hold the rows of all seeds, one seed after the other."""

    def __init__(self, modules: Sequence[Any]) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.stack([one.weight.detach() for one in modules]))
        self.bias = None
        if getattr(modules[0], "bias", None) is not None:
            self.bias = nn.Parameter(torch.stack([one.bias.detach() for one in modules]))

    def split(self, x: Tensor) -> Tensor:
        """Return inputs [..., n] as [seeds, ..., n]."""
        return x.reshape(len(self.weight), -1, x.shape[-1])


class Matrices(Stack):
    """Of linear layers, whose weights a Conv1D has transposed."""

    def __init__(self, modules: Sequence[Any]) -> None:
        super().__init__(modules)
        self.transposed = isinstance(modules[0], Conv1D)

    def forward(self, x: Tensor) -> Tensor:
        weight = self.weight if self.transposed else self.weight.transpose(1, 2)
        rows = self.split(x)
        out = torch.bmm(rows, weight) if self.bias is None else torch.baddbmm(self.bias[:, None], rows, weight)
        return out.view(*x.shape[:-1], -1)


class Tables(Stack):
    """Of embeddings. Positions have one row, which is that of every sequence."""

    def forward(self, ids: Tensor) -> Tensor:
        seeds, size, hidden = self.weight.shape
        rows = ids.expand(seeds * BATCH, -1)
        first = (torch.arange(seeds) * size).repeat_interleave(BATCH)
        return F.embedding(rows + first[:, None], self.weight.view(seeds * size, hidden))


class Norms(Stack):
    """Of layer norms."""

    def __init__(self, modules: Sequence[Any]) -> None:
        super().__init__(modules)
        self.eps = modules[0].eps

    def forward(self, x: Tensor) -> Tensor:
        assert self.bias is not None
        rows = self.split(F.layer_norm(x, x.shape[-1:], None, None, self.eps))
        return torch.addcmul(self.bias[:, None], rows, self.weight[:, None]).view(x.shape)


KINDS: dict[type, type[Stack]] = {nn.Linear: Matrices, Conv1D: Matrices, nn.Embedding: Tables, nn.LayerNorm: Norms}


def stacked(models: Sequence[Any]) -> Any:
    """Return one model with the weights of all."""
    whole, parts = copy.deepcopy(models[0]), [dict(model.named_modules()) for model in models]
    for name, module in list(whole.named_modules()):
        if kind := KINDS.get(type(module)):
            parent, _, child = name.rpartition(".")
            setattr(whole.get_submodule(parent), child, kind([modules[name] for modules in parts]))
    whole.get_output_embeddings().weight = whole.get_input_embeddings().weight
    return whole


class Together:
    """The stacked model in training."""

    def __init__(self, seeds: Sequence[Trainer]) -> None:
        self.seeds, self.model = seeds, stacked([one.model for one in seeds])
        self.parameters = list(self.model.parameters())
        groups = [
            {"params": [p for p in self.parameters if (p.dim() > 2) is decayed], "weight_decay": 0.01 * decayed}
            for decayed in (True, False)
        ]
        self.opt = torch.optim.AdamW(groups, lr=LR, fused=True)

    def step(self, number: int) -> Tensor:
        """Take one step of every seed and return the sum of their losses in nats."""
        set_lr(self.opt, LR)
        self.opt.zero_grad(set_to_none=True)
        batch, count = self._batch(number), len(self.seeds)
        with self.seeds[0].compute.cast():
            value = count * cross_entropy.mean(logits(self.seeds[0].family, self.model, batch), batch.labels)
        value.backward()
        self._clip(count)
        self.opt.step()
        return value.detach()

    def _batch(self, number: int) -> Batch:
        batches, size = [one.batches.of(number) for one in self.seeds], BATCH * LENGTH
        positions = [batch.positions + size * i for i, batch in enumerate(batches)]
        return Batch(
            torch.cat([b.inputs for b in batches]), torch.cat(positions), torch.cat([b.labels for b in batches])
        )

    def _clip(self, count: int) -> None:
        """Scale every seed's gradients so that their norm is at most 1."""
        gradients = [p.grad for p in self.parameters if p.grad is not None]
        norms = torch.stack([torch.linalg.vector_norm(g.view(count, -1), dim=1) for g in gradients]).norm(dim=0)
        factor = (1 / (norms + 1e-6)).clamp(max=1)
        for gradient in gradients:
            gradient.mul_(factor.view(-1, *[1] * (gradient.dim() - 1)))


def sides(shape: tuple[int, int], precision: str, count: int) -> dict[str, Callable[[int], Tensor]]:
    """Return what takes step i in each way, and returns the sum of the seeds' losses in nats; the last one sees other data."""
    own = [trainer(shape, precision, seed) for seed in range(count)]
    whole, wide = Together(own), trainer(shape, precision, 0, models=count)
    return {
        SEPARATE: lambda i: torch.stack([one.step(i, LR) for one in own]).sum(),
        STACKED: whole.step,
        WIDE: lambda i: wide.step(i, LR) * count,
    }


def row(shape: tuple[int, int], precision: str, args: Any) -> list[str]:
    """Measure one shape in one precision."""
    steps = sides(shape, precision, args.seeds)
    timed = {
        name: (lambda number, step=step: [step(STEPS * number + i) for i in range(STEPS)])
        for name, step in steps.items()
    }
    with reuse_freed_memory():
        _table.turns(timed, 1)
        found = _table.turns(timed, args.rounds)
    times = {name: _table.ratio(found[SEPARATE], found[name], "cpu") for name in found}
    return [
        f"{shape}, {precision}",
        *(f"{1000 * _table.median(found[name], 'cpu') / STEPS:.1f}" for name in found),
        f"{times[STACKED]:.2f}",
        _table.verdict(times[STACKED], BAR),
        f"{times[WIDE]:.2f}",
    ]


COLUMNS = (
    "(layers, hidden), precision", "separate, ms", "stacked, ms", "one model, ms", "separate / stacked", "bar",
    "separate / one model",
)  # fmt: skip


def main(words: Sequence[str] | None = None) -> int:
    """Run the benchmark and print its table; with --out, put it into the page."""
    parser = _table.parser(__doc__, 12)
    parser.add_argument("--shapes", nargs="+", default=["4x32"], metavar="LxH")
    parser.add_argument("--seeds", type=int, default=5)
    args = parser.parse_args(words)
    load, threads = os.getloadavg()[0], torch.get_num_threads()
    torch.set_num_threads(1)
    shapes = [(int(layers), int(hidden)) for layers, hidden in (name.split("x") for name in args.shapes)]
    rows = [row(shape, precision, args) for shape in shapes for precision in ("bf16", "float32")]
    torch.set_num_threads(threads)
    body = (
        f"GPT-2, {args.seeds} seeds, vocabulary {VOCAB}, {BATCH} x {LENGTH} tokens a step and seed, 1 thread; CPU "
        f"milliseconds of one step of all seeds, medians of {args.rounds} rounds in turns. *One model* has the rows of all "
        "seeds and one set of weights: what stacking would cost if grouping were free.\n\n"
        + _table.markdown(COLUMNS, rows)
    )
    _table.publish("seeds", "Several seeds as one model", body, load, args.out, words or sys.argv[1:])
    return 0


if __name__ == "__main__":
    sys.exit(main())

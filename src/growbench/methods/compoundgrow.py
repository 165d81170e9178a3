"""CompoundGrow: several dimensions grown together (Gu et al., NAACL 2021; arXiv 2010.12562).

A plan is a list of stages [steps, layers, ffn, length]: the stage's share of the steps, and the divisors of the
target's layers, FFN and input. One transition may change all three.

    layers   `stack`: layer i of the larger model from layer i mod L_s
             `attention`: all layers, but every second one shares the attention of the one below (train/variants/thin.py)
    ffn      `tile`: parameter sharing, fc1 is tiled k times, fc2 tiled and divided by k; exact
             `factor`: full width, but matrices are products of factors of a low `rank` (train/variants/thin.py); exact
    length   `pool`: embeddings averaged over windows of `length` tokens; the first and the predicted tokens stay
             (train/variants/pool.py)
             `cut`: truncation, only the first 1/length of a sequence is read

Default: 70 % of the steps with everything halved, then the whole model (from memory of the paper's controlled
comparison), and the first operator of each dimension, which is the paper's choice. `only: layers` (`ffn`, `length`)
keeps the other dimensions at full size. Every plan spends the same FLOPs, so that single dimensions and their
operators are compared at equal cost. Adam is reset at each stage.

Deviations: the paper's own compound stages are not known. In its first layer pooled queries attend to unpooled keys;
here the layers see only the pooled sequence.
"""

from collections.abc import Mapping
from typing import Any

from growbench.errors import GrowBenchError
from growbench.methods import Method, Option
from growbench.plan.plan import Enter, Plan, Stage, in_steps
from growbench.spec import ModelSpec

DIMENSIONS, USUAL = ("layers", "ffn", "length"), ("stack", "tile", "pool")
DEFAULT = [[0.7, 2, 2, 2], [0.3, 1, 1, 1]]


class CompoundGrow(Method):
    title = "CompoundGrow"
    paper = "Gu et al., NAACL 2021"
    grows = ("layers", "ffn")
    needs_source = False
    preserves = "FFN alone"
    options = {
        "stages": Option(DEFAULT, "per stage: share of steps, and divisors of layers, FFN and length"),
        "only": Option("all", "the dimension that changes", choices=("all", *DIMENSIONS)),
        "layers": Option("stack", "how depth is saved", choices=("stack", "attention")),
        "ffn": Option("tile", "how the FFN is saved", choices=("tile", "factor")),
        "length": Option("pool", "how inputs are shortened", choices=("pool", "cut")),
        "rank": Option(0.2, "rank of the factors, as a share of a matrix's shorter side", range=(1e-6, 1.0)),
    }

    def exact(self, source, target, traits, options) -> bool:
        return source.layers == target.layers

    def plan(self, source, target, options, prices) -> Plan:
        given, only = options["stages"], options["only"]
        rows = [_row(self.name, row) for row in given] if isinstance(given, list | tuple) else []
        if not rows or rows[-1][1] != (1, 1, 1) or abs(sum(share for share, _ in rows) - 1) > 1e-6:
            raise GrowBenchError(
                f"methods.{self.name}.stages: {given} must end at the whole target, with shares that sum to 1; end with "
                "[share, 1, 1, 1]"
            )
        stages: list[tuple[float, Stage]] = []
        for share, divisors in rows:
            cheaper = {key: d if only in ("all", key) else 1 for key, d in zip(DIMENSIONS, divisors, strict=True)}
            stages.append((share, _stage(target, cheaper, options, stages[-1][1].spec if stages else None)))
        if any(stage.thin != (None, False) for _, stage in stages[1:]):
            raise GrowBenchError(
                f"methods.{self.name}.stages: {given} divides layers or FFN after its first stage, but `attention` and "
                "`factor` can only start from random weights; use two stages, or stack and tile"
            )
        return Plan(stages=in_steps(stages, prices))


def _stage(
    target: ModelSpec, cheaper: Mapping[str, int], options: Mapping[str, Any], before: ModelSpec | None
) -> Stage:
    """Return a stage that is cheaper than the target by these divisors. before: the previous stage's spec, if any."""
    layers, ffn, length = (cheaper[key] for key in DIMENSIONS)
    stacked, tiled, pooled = (options[key] == which for key, which in zip(DIMENSIONS, USUAL, strict=True))
    spec = target.resized(
        layers=-(-target.layers // layers) if stacked else target.layers,
        ffn=-(-target.ffn // ffn) if tiled else target.ffn,
    )
    enter: Enter = "init" if before is None else "keep" if spec == before else "grow"
    return Stage(
        spec=spec,
        until=1.0,
        enter=enter,
        pool=length if pooled else 1,
        cut=1 if pooled else length,
        rank=options["rank"] if ffn > 1 and not tiled else None,
        shared=layers > 1 and not stacked,
    )


def _row(name: str, row: object) -> tuple[float, tuple[int, ...]]:
    """Return the share and the divisors of one stage of the option. Raises GrowBenchError if they are not valid."""
    if isinstance(row, list | tuple) and len(row) == 4:
        share, *divisors = row
        numbers = all(isinstance(d, int) and not isinstance(d, bool) and d >= 1 for d in divisors)
        if isinstance(share, int | float) and 0 < share <= 1 and numbers:
            return float(share), tuple(divisors)
    raise GrowBenchError(
        f"methods.{name}.stages: {row!r} is not a stage; use [share of steps, layers, ffn, length], e.g. [0.7, 2, 2, 2]"
    )


METHOD = CompoundGrow()

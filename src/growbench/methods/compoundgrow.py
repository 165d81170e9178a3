"""CompoundGrow: several dimensions grown together (Gu et al., NAACL 2021; arXiv 2010.12562).

A plan is a list of stages [steps, layers, ffn, length]: the share of the steps, and by how much the target's layers, FFN and
input are divided. One transition may change all three.

    layers   stacking, layer i of the larger model from layer i mod L_s
    ffn      parameter sharing: fc1 is tiled k times, fc2 tiled and divided by k; exact
    length   embeddings averaged over windows of `length` tokens; the first and the predicted tokens stay (train/pool.py)

Default: 70 % of the steps with everything halved, then the whole model, the paper's controlled comparison. A single
dimension is the same plan with 1 in the others, e.g. [[0.7, 2, 1, 1], [0.3, 1, 1, 1]] for depth. Adam starts again at
each stage. Steps become shares of FLOPs by the cost of the layers (projections and FFN alone).

Deviations: the paper's own compound stages are not known. In its first layer pooled queries attend to unpooled keys; here the
pooled sequence is all that the layers see. Low-rank FFN, shared attention and truncation, which it compares, are not here:
the first two are no stock models.
"""

from growbench.errors import GrowBenchError
from growbench.growth.widening import Widening, widen
from growbench.methods._contract import Method, Option
from growbench.plan import Enter, Plan, Stage

DEFAULT = [[0.7, 2, 2, 2], [0.3, 1, 1, 1]]


class CompoundGrow(Method):
    title = "CompoundGrow"
    paper = "Gu et al., NAACL 2021"
    grows = ("layers", "ffn")
    needs_source = False
    preserves = "FFN alone"
    options = {"stages": Option(DEFAULT, "share of steps, and divisors of layers, FFN and length, stage by stage")}

    def exact(self, source, target, traits, options) -> bool:
        return source.layers == target.layers

    def widen(self, source, target, options, rng) -> Widening:
        return widen(source, target, "balanced", rng)

    def plan(self, source, target, options) -> Plan:
        rows = [_row(self.name, row) for row in options["stages"]]
        if not rows or rows[-1][1:] != (1, 1, 1) or abs(sum(row[0] for row in rows) - 1) > 1e-6:
            raise GrowBenchError(
                f"methods.{self.name}.stages: {options['stages']} does not end at the whole target with shares that sum "
                "to 1; end with [share, 1, 1, 1]"
            )
        specs = [target.resized(layers=-(-target.layers // a), ffn=-(-target.ffn // b)) for _, a, b, _ in rows]
        costs = [
            share * spec.layers * (2 * spec.hidden + spec.ffn) / pool
            for (share, _, _, pool), spec in zip(rows, specs, strict=True)
        ]
        stages: list[Stage] = []
        spent = 0.0
        for (_, _, _, pool), spec, cost in zip(rows, specs, costs, strict=True):
            spent = 1.0 if spec is specs[-1] and len(stages) == len(rows) - 1 else spent + cost / sum(costs)
            enter: Enter = "init" if not stages else "keep" if spec == stages[-1].spec else "grow"
            stages.append(Stage(spec=spec, until=spent, enter=enter, pool=pool))
        return Plan(stages=tuple(stages))


def _row(name: str, row: object) -> tuple[float, int, int, int]:
    """One stage of the option, checked."""
    if isinstance(row, list | tuple) and len(row) == 4:
        share, *divisors = row
        numbers = all(isinstance(d, int) and not isinstance(d, bool) and d >= 1 for d in divisors)
        if isinstance(share, int | float) and 0 < share <= 1 and numbers:
            layers, ffn, length = divisors
            return float(share), layers, ffn, length
    raise GrowBenchError(
        f"methods.{name}.stages: {row!r} is not a stage; use [share of steps, layers, ffn, length], e.g. [0.7, 2, 2, 2]"
    )


METHOD = CompoundGrow()

"""CompoundGrow: several dimensions grown together (Gu et al., NAACL 2021; arXiv 2010.12562).

A plan is a list of stages [steps, layers, ffn, length]: the share of the steps, and by how much the target's layers, FFN and
input are divided. One transition may change all three.

    layers   stacking, layer i of the larger model from layer i mod L_s
    ffn      parameter sharing: fc1 is tiled k times, fc2 tiled and divided by k; exact
    length   `shorten: pool`: embeddings averaged over windows of `length` tokens; the first and the predicted tokens stay
             (train/pool.py). `shorten: cut`: truncation, only the first 1/length of a sequence is read

Default: 70 % of the steps with everything halved, then the whole model, the paper's controlled comparison. `only: layers`
(`ffn`, `length`) leaves the other dimensions whole; every plan spends the same FLOPs, so single dimensions are compared at
equal cost. Adam starts again at each stage.

Deviations: the paper's own compound stages are not known. In its first layer pooled queries attend to unpooled keys; here the
pooled sequence is all that the layers see.
"""

from growbench.errors import GrowBenchError
from growbench.growth.widening import Widening, widen
from growbench.methods._contract import Method, Option
from growbench.plan import Enter, Plan, Stage, in_steps

DIMENSIONS = ("layers", "ffn", "length")
DEFAULT = [[0.7, 2, 2, 2], [0.3, 1, 1, 1]]


class CompoundGrow(Method):
    title = "CompoundGrow"
    paper = "Gu et al., NAACL 2021"
    grows = ("layers", "ffn")
    needs_source = False
    preserves = "FFN alone"
    options = {
        "stages": Option(DEFAULT, "share of steps, and divisors of layers, FFN and length, stage by stage"),
        "only": Option("all", "the dimension that changes", choices=("all", *DIMENSIONS)),
        "shorten": Option("pool", "how inputs are shortened", choices=("pool", "cut")),
    }

    def exact(self, source, target, traits, options) -> bool:
        return source.layers == target.layers

    def widen(self, source, target, options, rng) -> Widening:
        return widen(source, target, "balanced", rng)

    def plan(self, source, target, options, prices) -> Plan:
        given, only = options["stages"], options["only"]
        rows = [_row(self.name, row) for row in given] if isinstance(given, list | tuple) else []
        if not rows or rows[-1][1] != (1, 1, 1) or abs(sum(share for share, _ in rows) - 1) > 1e-6:
            raise GrowBenchError(
                f"methods.{self.name}.stages: {given} does not end at the whole target with shares that sum to 1; end with "
                "[share, 1, 1, 1]"
            )
        stages: list[tuple[float, Stage]] = []
        for share, divisors in rows:
            layers, ffn, length = (
                d if only in ("all", key) else 1 for key, d in zip(DIMENSIONS, divisors, strict=True)
            )
            spec = target.resized(layers=-(-target.layers // layers), ffn=-(-target.ffn // ffn))
            enter: Enter = "init" if not stages else "keep" if spec == stages[-1][1].spec else "grow"
            pool, cut = (length, 1) if options["shorten"] == "pool" else (1, length)
            stages.append((share, Stage(spec=spec, until=1.0, enter=enter, pool=pool, cut=cut)))
        return Plan(stages=in_steps(stages, prices))


def _row(name: str, row: object) -> tuple[float, tuple[int, ...]]:
    """The share and the divisors of one stage of the option, checked."""
    if isinstance(row, list | tuple) and len(row) == 4:
        share, *divisors = row
        numbers = all(isinstance(d, int) and not isinstance(d, bool) and d >= 1 for d in divisors)
        if isinstance(share, int | float) and 0 < share <= 1 and numbers:
            return float(share), tuple(divisors)
    raise GrowBenchError(
        f"methods.{name}.stages: {row!r} is not a stage; use [share of steps, layers, ffn, length], e.g. [0.7, 2, 2, 2]"
    )


METHOD = CompoundGrow()

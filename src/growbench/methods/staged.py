"""Staged Training (Shen et al., ICML 2022; arXiv 2203.06211).

Width: copies that do not read one another,

    W -> [[W, 0], [0, W]],   b -> [b, b],   gains and embeddings repeated,   last norm halved before a tied head

so that the loss is preserved, and the training dynamics too. Depth: `identity` puts a copy that writes nothing after
each layer, `copy` repeats each layer in place (the paper's "alternate" options).

Plan: the source's shape is trained from scratch, inside the budget, until the slope of its loss (plan/slope.py) rises
above

    d log L / d log F  =  -0.0575 (depth)   -0.0475 (width)   -0.03 (both)

or until a share `latest` of the budget is spent. Then it grows, with Adam's moments, and the LR continues from where
the target, trained from scratch, would be: S steps of the small model are worth S / 1.412 (depth), S / 1.776 (width),
S / 2.455 (both) of the target's, and each of the target's costs F_target / F_source times as much.

Deviations: any integer ratio, and one growth; the paper doubles, once or twice. The paper's moments are wrong off the
diagonal, where the true gradient is not zero; policy `scaled` (growth/moments.py) takes the gradient of the whole
tiled matrix. The LR curve is rescaled to end with the budget, and the warm-up after a growth is as long as the first
one. With `protocol: trunk` the LR is constant, and only that warm-up remains of the shift.
"""

from dataclasses import replace

from growbench.growth.depth import Depth, identities, interpolated
from growbench.growth.widening import Widening, widen
from growbench.methods import Method, Option, identity_depth, require_equal_groups, require_multiples
from growbench.plan.plan import POLICIES, Plan, Stage

SLOPES = {"depth": -0.0575, "width": -0.0475, "both": -0.03}
WORTH = {"depth": 1.412, "width": 1.776, "both": 2.455}


class Staged(Method):
    title = "Staged training"
    paper = "Shen et al., ICML 2022"
    ratios = "integer (depth: any)"
    needs_source = False
    preserves = "width; depth with depth=identity"
    options = {
        "depth": Option("identity", "what an added layer is at first", choices=("identity", "copy")),
        "latest": Option(0.3, "share of the budget by which it grows at the latest", range=(0.01, 0.9)),
        "slope": Option(None, "slope of the loss above which it grows; null takes the paper's", range=(-10.0, -1e-6)),
        "optimizer": Option("scaled", "Adam's moments at the growth (growth/moments.py)", choices=POLICIES),
    }

    def check(self, source, target, traits, options) -> None:
        super().check(source, target, traits, options)
        require_multiples(source, target, ("hidden", "heads", "kv_heads", "ffn"), self.name)
        require_equal_groups(source, target, self.name)

    def exact(self, source, target, traits, options) -> bool:
        identical = options["depth"] == "identity" and identity_depth(source, target, traits)
        return identical or source.layers == target.layers

    def widen(self, source, target, options, rng) -> Widening:
        return replace(widen(source, target, "balanced", rng), coupling="diagonal")

    def deepen(self, source_layers, target_layers, options) -> Depth:
        return {"identity": identities, "copy": interpolated}[options["depth"]](source_layers, target_layers)

    def plan(self, source, target, options, prices) -> Plan:
        wider, deeper = source.resized(layers=target.layers) != target, source.layers < target.layers
        kind = "both" if wider and deeper else "width" if wider else "depth"
        slope = SLOPES[kind] if options["slope"] is None else options["slope"]
        small = Stage(spec=source, until=options["latest"], enter="init", slope=slope)
        grown = Stage(spec=target, until=1.0, enter="grow", optimizer=options["optimizer"], lr="shift")
        shift = prices.step(grown) / prices.step(small) / WORTH[kind]
        return Plan(stages=(small, replace(grown, shift=shift)))


METHOD = Staged()

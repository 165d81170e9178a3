"""MSLT: multi-stage layerwise training, "Progressively Stacking 2.0" (Yang et al., 2020; arXiv 2011.13635).

    stage m = 1 .. n:   L m / n layers; the top L / n are new, copied from the present top, and only they (and the head)
                        learn; the layers below run forward without a graph
    last stage:         all layers learn

With the published n = 4 and equally many steps in each stage, then 20/32 as many in the joint one: of FLOPs (backward =
2 x forward, body alone) stage m takes m / n + 2 / n of a full step. `partial` is the share of the budget for stages 1 .. n.
Adam starts again at each stage, the LR goes on. Not function preserving.

Deviations: shares are of FLOPs. A head that shares the token table goes on training it, as head only; embeddings are
otherwise frozen from stage 2 on. The paper's large-batch optimizer is not used.
"""

from growbench.growth.widening import Widening, widen
from growbench.methods._contract import Method, Option
from growbench.plan import Plan, Stage


class Mslt(Method):
    title = "MSLT"
    paper = "Yang et al., 2020"
    grows = ("layers",)
    needs_source = False
    options = {
        "stages": Option(4, "partial stages", choices=(1, 2, 3, 4, 6, 8, 12)),
        "partial": Option(0.375, "share of the budget for the partial stages", range=(0.01, 0.95)),
    }

    def widen(self, source, target, options, rng) -> Widening:
        return widen(source, target, "balanced", rng)

    def plan(self, source, target, options) -> Plan:
        count = min(options["stages"], target.layers)
        depths = [-(-target.layers * m // count) for m in range(1, count + 1)]
        added = [b - a for a, b in zip([0, *depths], depths, strict=False)]
        costs = [depth + 2 * new for depth, new in zip(depths, added, strict=True)]
        stages: list[Stage] = []
        spent = 0.0
        for depth, new, cost in zip(depths, added, costs, strict=True):
            spent += options["partial"] * cost / sum(costs)
            spec, top = target.resized(layers=depth), new if stages else None
            stages.append(Stage(spec=spec, until=spent, enter="grow" if stages else "init", top=top))
        return Plan(stages=(*stages, Stage(spec=target, until=1.0, enter="keep")))


METHOD = Mslt()

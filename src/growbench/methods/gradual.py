"""Gradual stacking with copies in the middle: MIDAS (Saunshi et al., NeurIPS 2024; arXiv 2409.19044).

There are n stages. Stage i has i/n of the target's layers and takes a share of the budget that rises as i^alpha. The
added layers are a copy of the middle of the current model, put right behind it:

    [ 1 2 | 3 4 | 5 6 ]  ->  [ 1 2 | 3 4 | 3 4 | 5 6 ]            `where: middle`
    [ 1 2 | 3 4 | 5 6 ]  ->  [ 1 2 | 3 4 | 5 6 | 5 6 ]            `where: top`, gradual stacking

Adam is reset at each stage; the LR schedule continues. Does not preserve the function. Deviations: shares are of
FLOPs; only the stages before `last` rise as i^alpha, and the target trains for the rest of the budget.
"""

from growbench.growth.depth import Depth, middle, stacked
from growbench.methods import Method, Option
from growbench.plan.plan import Plan, Stage


class Gradual(Method):
    title = "Gradual stacking"
    paper = "Saunshi et al., NeurIPS 2024"
    grows = ("layers",)
    needs_source = False
    options = {
        "stages": Option(4, "number of depths", choices=(2, 3, 4, 6, 8, 12)),
        "alpha": Option(1.0, "the share of stage i rises as i to this power", range=(0.0, 4.0)),
        "where": Option("middle", "which layers are copied", choices=("middle", "top")),
        "last": Option(0.3, "share of the budget at which the target is reached", range=(0.01, 0.95)),
    }

    def deepen(self, source_layers, target_layers, options) -> Depth:
        return {"middle": middle, "top": stacked}[options["where"]](source_layers, target_layers)

    def plan(self, source, target, options, prices) -> Plan:
        count = min(options["stages"], target.layers)
        weights = [i ** options["alpha"] for i in range(1, count)]
        stages: list[Stage] = []
        spent = 0.0
        for i in range(1, count + 1):
            spent = 1.0 if i == count else spent + options["last"] * weights[i - 1] / sum(weights)
            spec = target.resized(layers=-(-target.layers * i // count))
            stages.append(Stage(spec=spec, until=spent, enter="grow" if stages else "init"))
        return Plan(stages=tuple(stages))


METHOD = Gradual()

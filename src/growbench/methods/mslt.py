"""MSLT: multi-stage layerwise training, "Progressively Stacking 2.0" (Yang et al., 2020; arXiv 2011.13635).

    stage m = 1 .. n:   L m / n layers; the top L / n are new, copied from the current top, and only they (and the head)
                        learn; the layers below run forward without a graph
    last stage:         all layers learn

n = 4 as published, with the same number of steps in each stage. `partial` is the share of the budget for stages 1 ..
n. 32 of 52 epochs (from memory of bert2BERT's replication) are 0.375 of the FLOPs at four stages (body alone: a step
of stage m takes (m + 2) / 3 n of a full one). Adam is reset at each stage; the LR schedule continues. Does not
preserve the function.

Deviations: shares are of FLOPs. A target with fewer than n layers has one partial stage a layer, and these still get
all of `partial`. A head that shares the token table keeps training it, as a head only; embeddings are
otherwise frozen from stage 2 on. The paper's large-batch optimizer is not used.
"""

from growbench.methods import Method, Option
from growbench.plan.plan import Enter, Plan, Stage, in_steps


class Mslt(Method):
    title = "MSLT"
    paper = "Yang et al., 2020"
    grows = ("layers",)
    needs_source = False
    options = {
        "stages": Option(4, "number of partial stages", choices=(1, 2, 3, 4, 6, 8, 12)),
        "partial": Option(0.375, "share of the budget for the partial stages", range=(0.01, 0.95)),
    }

    def plan(self, source, target, options, prices) -> Plan:
        count = min(options["stages"], target.layers)
        depths = [-(-target.layers * m // count) for m in range(1, count + 1)]
        rows: list[tuple[float, Stage]] = []
        for below, depth in zip([0, *depths], depths, strict=False):
            enter: Enter = "grow" if rows else "init"
            top = depth - below if rows else None
            rows.append((1.0, Stage(spec=target.resized(layers=depth), until=1.0, enter=enter, top=top)))
        joint = Stage(spec=target, until=1.0, enter="keep")
        return Plan(stages=(*in_steps(rows, prices, options["partial"]), joint))


METHOD = Mslt()

"""StackBERT: progressive stacking (Gong et al., ICML 2019).

A model of L/4 layers is trained, doubled to L/2 and doubled again to L; doubling copies layer i to layer i + L:

    W_t^(i) = W_s^(i mod L_s)        i = 0 .. 2 L_s - 1

Embeddings and head are carried over, Adam starts again (the authors' `--reset-optimizer`; `optimizer: copy` is their `--double-optimizer`), the LR goes on along the
global schedule. Growth at 12.5 % and 30 % of the budget (50k and 120k of 400k updates). Width is the target's from the
start. Not function preserving.

Deviation: shares are of FLOPs here, of updates in the paper. A target whose layers are not a multiple of four starts
from its layers halved (rounded up) twice.
"""

from growbench.growth.widening import Widening, widen
from growbench.methods._contract import Method, Option
from growbench.plan import POLICIES, Plan, Policy, Stage


class StackBert(Method):
    title = "StackBERT"
    paper = "Gong et al., ICML 2019"
    grows = ("layers",)
    needs_source = False
    options = {
        "first": Option(0.125, "share of the budget at which L/4 layers become L/2", range=(0.001, 0.9)),
        "second": Option(0.30, "share of the budget at which L/2 layers become L", range=(0.002, 0.95)),
        "optimizer": Option("reset", "Adam's moments at a growth (growth/moments.py)", choices=POLICIES),
    }

    def widen(self, source, target, options, rng) -> Widening:
        return widen(source, target, "balanced", rng)

    def plan(self, source, target, options) -> Plan:
        half = -(-target.layers // 2)
        quarter = -(-half // 2)
        depths = [(quarter, options["first"]), (half, options["second"]), (target.layers, 1.0)]
        stages: list[Stage] = []
        for layers, until in depths:
            if stages and stages[-1].spec.layers == layers:
                stages.pop()
            spec = target.resized(layers=layers)
            moments: Policy = options["optimizer"] if stages else "reset"
            stages.append(Stage(spec=spec, until=until, enter="grow" if stages else "init", optimizer=moments))
        return Plan(stages=tuple(stages))


METHOD = StackBert()

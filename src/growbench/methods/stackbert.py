"""StackBERT: progressive stacking (Gong et al., ICML 2019).

A model of L/4 layers is trained, doubled to L/2 and doubled again to L. Doubling copies layer i to layer i + L_s:

    W_t^(i) = W_s^(i mod L_s)        i = 0 .. 2 L_s - 1

Embeddings and head are carried over. The model grows at 12.5 % and 30 % (50k and 120k of 400k updates) of the
budget's FLOPs, or, with `unit: steps`, of the updates, as published. Adam is reset at a growth (the authors'
`--reset-optimizer`; `optimizer: copy` is their `--double-optimizer`). The LR continues along the global schedule or
is warmed up again. The width is the target's from the start. Does not preserve the function.

`added: identity` is the paper's baseline (`identity.py`): new layers go on top and are random, but their output
projections and all biases are zero, so that the function does not change. Deviation: their weights have the family's
standard deviation, not d^(-1/2).

The released code is pre-LN without gains. A stock BERT is post-LN with gains, and stays so.

If the target's layers are not a multiple of four, the first model has its layers halved twice, rounded up.
"""

from itertools import pairwise

from growbench.errors import GrowBenchError
from growbench.growth.depth import Depth, stacked, topped
from growbench.methods import Method, Option, identity_depth
from growbench.plan.plan import POLICIES, Plan, Stage, in_steps


class StackBert(Method):
    title = "StackBERT"
    paper = "Gong et al., ICML 2019"
    grows = ("layers",)
    needs_source = False
    preserves = "with added=identity"
    options = {
        "added": Option("copy", "what an added layer is at first", choices=("copy", "identity")),
        "first": Option(0.125, "share of the budget at which L/4 layers become L/2", range=(0.001, 0.9)),
        "second": Option(0.30, "share of the budget at which L/2 layers become L", range=(0.002, 0.95)),
        "unit": Option("flops", "unit of these shares", choices=("flops", "steps")),
        "optimizer": Option("reset", "Adam's moments at a growth (growth/moments.py)", choices=POLICIES),
        "rate": Option("continue", "the LR after a growth (plan/schedule.py)", choices=("continue", "rewarm")),
    }

    def exact(self, source, target, traits, options) -> bool:
        return options["added"] == "identity" and identity_depth(source, target, traits)

    def deepen(self, source_layers, target_layers, options) -> Depth:
        return {"copy": stacked, "identity": topped}[options["added"]](source_layers, target_layers)

    def plan(self, source, target, options, prices) -> Plan:
        first, second = options["first"], options["second"]
        if first >= second:
            raise GrowBenchError(
                f"methods.{self.name}.first: {first} must be less than second ({second}); use a smaller one"
            )
        half = -(-target.layers // 2)
        stages: list[Stage] = []
        for layers, until in ((-(-half // 2), first), (half, second), (target.layers, 1.0)):
            if stages and stages[-1].spec.layers == layers:
                stages.pop()
            grown = {"enter": "grow", "optimizer": options["optimizer"], "lr": options["rate"]} if stages else {}
            stages.append(Stage(**{"spec": target.resized(layers=layers), "until": until, "enter": "init", **grown}))
        if options["unit"] == "flops":
            return Plan(stages=tuple(stages))
        lengths = [b - a for a, b in pairwise([0.0, *(s.until for s in stages)])]
        return Plan(stages=in_steps(list(zip(lengths, stages, strict=True)), prices))


METHOD = StackBert()

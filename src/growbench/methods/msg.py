"""MSG: masked structural growth (Yao et al., ICLR 2024; arXiv 2305.02869).

Added entries are random (width) or copies of existing layers (depth). They are hidden behind a mask that rises
linearly

    m(t) = min(1, (t - t_grow) / ramp)

from 0, where the model computes exactly the source's function whatever the new entries hold, to 1, where it is the
stock target (growth/masking.py). Norms are masked, with their statistics, and added layers are blended with the
identity. What else m multiplies is a choice (`masks`):

    projections   q, k and v of new heads, and new FFN units before the activation      the authors'
    outputs       what o and fc2 read of them, and all that is written to new residual coordinates      ours

The two are the same at 0 and at 1. `where: stack` puts copies of all layers on top of all others (the authors' default);
`first`, `last` and `top` put each behind the layer that it copies (`top`: their other choice).

`ramp` is a share of the largest budget. All that is added rises together. With `turns: true` hidden size and heads are
grown first, then the FFN, then layers, one ramp after the other; Adam's state is then kept at the second and third
growth (`optimizer: asymmetric`: new entries start without).

Deviations: the authors train the small model inside the budget, grow it several times, and grow heads and hidden size
apart, which stock models do not allow. Here a trained source is grown, whose optimizer state is not part of its
checkpoint, so Adam starts over at the first growth, where theirs goes on. `turns` is not the default because finished
points cannot lie inside a ramp. Theirs last 5,000 steps. Under `projections` an activation must map 0 to 0, and new
query heads need key/value heads of their own. A checkpoint written by `growbench grow` would have no masks, so that command
refuses this method.
"""

from dataclasses import replace
from itertools import pairwise

from growbench.errors import GrowBenchError
from growbench.growth.depth import Depth, identities, stacked
from growbench.growth.widening import Widening, widen
from growbench.methods import Method, Option
from growbench.plan.plan import POLICIES, Plan, Stage


class Msg(Method):
    title = "MSG"
    paper = "Yao et al., ICLR 2024"
    masked = True
    preserves = "with its masks at 0"
    options = {
        "ramp": Option(0.1, "share of the largest budget over which a mask rises", range=(0.001, 0.9)),
        "masks": Option("projections", "what the masks multiply", choices=("projections", "outputs"), older="outputs"),
        "where": Option("stack", "where layers are added", choices=("stack", "first", "last", "top"), older="first"),
        "turns": Option(False, "grow one dimension after the other", choices=(False, True), older=False),
        "optimizer": Option(
            "asymmetric", "Adam's moments at a second growth (growth/moments.py)", choices=POLICIES, older="asymmetric"
        ),
    }

    def check(self, source, target, traits, options) -> None:
        super().check(source, target, traits, options)
        small, big = source.heads // source.kv_heads, target.heads // target.kv_heads
        if options["masks"] == "projections" and big > small:
            raise GrowBenchError(
                f"target.heads: {target.heads} adds query heads to key/value heads of the source, which masks on projections "
                f"cannot hide; use {small * target.kv_heads} or methods.{self.name}.masks: outputs"
            )

    def widen(self, source, target, options, rng) -> Widening:
        return replace(widen(source, target, "new", rng), masks=options["masks"])

    def deepen(self, source_layers, target_layers, options) -> Depth:
        if options["where"] == "stack":
            layers = stacked(source_layers, target_layers)
            return tuple(replace(x, masked=t >= source_layers) for t, x in enumerate(layers))
        layers = identities(source_layers, target_layers, options["where"])
        return tuple(replace(x, silent=False, masked=x.silent) for x in layers)

    def plan(self, source, target, options, prices) -> Plan:
        ramp, specs = options["ramp"], [target]
        if options["turns"]:
            wide = source.resized(
                hidden=target.hidden, heads=target.heads, kv_heads=target.kv_heads, head_size=target.head_size
            )
            order = [source, wide, wide.resized(ffn=target.ffn), target]
            specs = [spec for before, spec in pairwise(order) if spec != before] or [target]
        if len(specs) * ramp >= 1:
            raise GrowBenchError(
                f"methods.{self.name}.ramp: {len(specs)} ramps of {ramp} leave nothing of the budget; use a shorter one"
            )
        stages = [Stage(spec=spec, until=ramp * n, enter="grow", mask=ramp) for n, spec in enumerate(specs, 1)]
        for i, stage in enumerate(stages):
            stages[i] = replace(stage, optimizer=options["optimizer"]) if i else replace(stage, enter="source")
        stages[-1] = replace(stages[-1], until=1.0)
        return Plan(stages=tuple(stages))


METHOD = Msg()

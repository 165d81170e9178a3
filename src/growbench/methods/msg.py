"""MSG: masked structural growth (Yao et al., ICLR 2024; arXiv 2305.02869).

Added entries are random (width) or copies of the layer below (depth). They are hidden behind a mask that rises
linearly

    m(t) = min(1, (t - t_grow) / ramp)

from 0, where the model computes exactly the source's function whatever the new entries hold, to 1, where it is the
stock target. The mask multiplies new heads, FFN units and residual coordinates, weights them in the norms'
statistics, and blends added layers with the identity (growth/masking.py). `ramp` is a share of the largest budget.

Deviations: one growth of the source; the paper grows four dimensions in turn. Adam starts over at the growth; the
paper keeps its state. The authors' code masks the FFN before its activation, masks queries, keys and values of new
heads, does not mask what is written before a norm, and puts new layers on top. Its masks rise over 5,000 steps, one
dimension at a time. No finished point lies inside the ramp. A checkpoint written by `growbench grow` would have no masks, so that command refuses this method.
"""

from dataclasses import replace

from growbench.growth.depth import Depth, identities
from growbench.growth.widening import Widening, widen
from growbench.methods import Method, Option
from growbench.plan.plan import Plan, Stage


class Msg(Method):
    title = "MSG"
    paper = "Yao et al., ICLR 2024"
    masked = True
    preserves = "with its masks at 0"
    options = {"ramp": Option(0.1, "share of the largest budget over which the mask rises", range=(0.001, 0.9))}

    def widen(self, source, target, options, rng) -> Widening:
        return widen(source, target, "new", rng)

    def deepen(self, source_layers, target_layers, options) -> Depth:
        return tuple(replace(x, silent=False, masked=x.silent) for x in identities(source_layers, target_layers))

    def plan(self, source, target, options, prices) -> Plan:
        return Plan(stages=(Stage(spec=target, until=1.0, enter="source", mask=options["ramp"]),))


METHOD = Msg()

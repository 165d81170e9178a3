"""Relay: small models run the first legs of the budget, and the target takes over early (GrowBench).

    share of the budget     0 .. at / 3           at / 3 .. at         at .. 1
    model                   source, half deep     source               target

Each model enters by direct copy: its tensors in the top-left block, everything else random; added layers are copies of
the whole stack. Adam's moments go along, new entries start without (`asymmetric`), and the LR goes on: the warm-up is
over before the target appears. No model is cooled down before the last.

What the ladder taught (docs/RESULTS.md): a copy that is filled at random saves what a tied one does not, and a source of
a quarter of the tokens is not shown to save less.

`first: 0` leaves the half-deep model out.
"""

from growbench.growth.widening import Widening, widen
from growbench.methods import Method, Option
from growbench.plan.plan import POLICIES, Plan, Stage


class Relay(Method):
    title = "Relay"
    paper = "GrowBench"
    needs_source = False
    options = {
        "at": Option(0.12, "share of the largest budget at which the target takes over", range=(0.001, 0.9)),
        "first": Option(1 / 3, "part of that share for the source with half its layers", range=(0.0, 0.9)),
        "optimizer": Option("asymmetric", "Adam's moments at each growth (growth/moments.py)", choices=POLICIES),
    }

    def widen(self, source, target, options, rng) -> Widening:
        return widen(source, target, "new", rng)

    def plan(self, source, target, options, prices) -> Plan:
        legs = [(source, options["at"]), (target, 1.0)]
        if options["first"] and source.layers > 1:
            legs.insert(0, (source.resized(layers=source.layers // 2), options["first"] * options["at"]))
        return Plan(
            stages=tuple(
                Stage(spec=spec, until=until, enter="grow" if number else "init", optimizer=options["optimizer"])
                for number, (spec, until) in enumerate(legs)
            )
        )


METHOD = Relay()

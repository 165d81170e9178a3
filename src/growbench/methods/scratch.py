"""Scratch: train the target from random weights. The baseline that every saving is measured against."""

from growbench.methods import Method
from growbench.plan.plan import Plan, Stage


class Scratch(Method):
    title = "From scratch"
    paper = "baseline"
    grows = ()
    needs_source = False

    def plan(self, source, target, options, prices) -> Plan:
        return Plan(stages=(Stage(spec=target, until=1.0, enter="init"),))


METHOD = Scratch()

"""Control: the small model trained for all the FLOPs of a method that grows it.

    F(source_longer) = F(largest budget) + F(source),   all spent on the source's shape, from random weights

With budget.total, F(largest budget) is that total already, and nothing is added.

If it ends at a lower loss than the grown target, growing was not worth its compute at this budget.
"""

from growbench.methods import Method
from growbench.plan.plan import Plan, Stage


class SourceLonger(Method):
    title = "Source, trained longer"
    paper = "control"
    grows = ()
    needs_source = False
    control = raised = True
    ends = "source"

    def plan(self, source, target, options, prices) -> Plan:
        return Plan(stages=(Stage(spec=source, until=1.0, enter="init"),))


METHOD = SourceLonger()

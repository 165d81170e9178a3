"""Control: training from scratch for all the FLOPs of a method that starts from the source.

The budget is raised by the source's cost. This run then spends what such a method spends when everything is counted:

    F(scratch_iso) = F(largest budget) + F(source)

With budget.total every method spends the same in total, so that this control is scratch itself.

If a method's advantage over scratch is smaller than this control's, the source's compute is better spent here.
"""

from growbench.methods.scratch import Scratch


class ScratchIso(Scratch):
    title = "Scratch, source's FLOPs added"
    paper = "control"
    control = raised = True
    without_total = "which makes it scratch itself"


METHOD = ScratchIso()

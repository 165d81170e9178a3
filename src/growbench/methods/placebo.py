"""Control: scratch with another horizon. It does nothing that scratch does not do.

    F(placebo) = 4/3 F(largest budget),   with finished points at the same shares of its longer budget

Its curve is scratch's curve, sampled elsewhere, so its saving must be 0. What the tables print in its row is what the
protocol itself adds to or takes from a saving: by interpolation, by a warm-up that does not fit, or by chance.
"""

from growbench.methods.scratch import Scratch


class Placebo(Scratch):
    title = "Placebo: scratch, longer"
    paper = "control"
    control = True
    horizon = 4 / 3


METHOD = Placebo()

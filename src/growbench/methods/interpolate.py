"""Interpolation: every source layer is repeated in place (Chang et al., ICLR 2018; called interposition elsewhere).

    [ 1 2 3 ] -> [ 1 1 2 2 3 3 ]            layer t of the target comes from layer floor(t L_s / L_t)

Keeps the order of the layers, so the initial loss is lower than with stacking (AquilaMoE: 3.31 against 4.30). Width
does not change. Does not preserve the function.
"""

from growbench.growth.depth import Depth, interpolated
from growbench.methods.stack import Stack


class Interpolate(Stack):
    title = "Interpolation"
    paper = "Chang et al., ICLR 2018"

    def deepen(self, source_layers, target_layers, options) -> Depth:
        return interpolated(source_layers, target_layers)


METHOD = Interpolate()

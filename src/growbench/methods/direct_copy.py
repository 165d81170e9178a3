"""DirectCopy: the source's tensors in the top-left block, everything else random (baseline in Chen et al., ACL 2022).

    W_t = [[ W_s, R ],
           [ R,   R ]]        R ~ the family's own initialization

Depth: the widened source is stacked, then its top layers are put on top, as in bert2BERT. Does not preserve the
function if a width grows.
"""

from growbench.growth.widening import Widening, widen
from growbench.methods import Method


class DirectCopy(Method):
    title = "DirectCopy"
    paper = "Chen et al., ACL 2022"

    def widen(self, source, target, options, rng) -> Widening:
        return widen(source, target, "new", rng)


METHOD = DirectCopy()

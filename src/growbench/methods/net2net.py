"""Net2Net: wider and deeper by copying (Chen, Goodfellow, Shlens, ICLR 2016; arXiv 1511.05641).

Net2WiderNet: a random map g on the units, written copies, readers divided by the number of copies, as in FPI:

    U[i, j] = W[g(i), j] / C(g(i))

plus noise that breaks the symmetry of copies. The paper adds it freely; here its sum over the copies of a unit is
zero,

    U[i, j] += (n[i, j] - mean over copies k of g(i) of n[k, j]) / sqrt(1 - 1 / C(g(i))),    n ~ N(0, (noise * std(U))^2)

so that the product does not change and the added noise has the standard deviation of n. Net2DeeperNet: an added layer
is an identity. In a residual block that is a copy of the layer below whose two output projections are zero.

Deviations: the paper gives no size for its noise, and 0.05 has no source. `map: balanced` is the default because LayerNorm needs the same number of copies of every coordinate (see
bert2bert_fpi). Whole heads are copied. An added layer is a copy instead of a new one, so that only its outputs have to
be learned.
"""

from dataclasses import replace

from growbench.growth.depth import Depth, identities
from growbench.growth.widening import Widening, widen
from growbench.methods import Method, Option, identity_depth, integer_ratio


class Net2Net(Method):
    title = "Net2Net"
    paper = "Chen et al., ICLR 2016"
    preserves = "at an integer ratio of hidden with the balanced map; any depth"
    options = {
        "map": Option("balanced", "how added coordinates choose their source", choices=("balanced", "random")),
        "noise": Option(0.05, "noise on the copies that are read, as a share of a tensor's std", range=(0.0, 1.0)),
    }

    def exact(self, source, target, traits, options) -> bool:
        even = options["map"] == "balanced" and integer_ratio(source, target)
        return identity_depth(source, target, traits) and (even or source.hidden == target.hidden)

    def widen(self, source, target, options, rng) -> Widening:
        return replace(widen(source, target, options["map"], rng), noise=options["noise"])

    def deepen(self, source_layers, target_layers, options) -> Depth:
        return identities(source_layers, target_layers)


METHOD = Net2Net()

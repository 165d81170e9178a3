"""bert2BERT FPI: function-preserving initialization (Chen et al., ACL 2022, section 3.2; arXiv 2110.07143).

With y = x W (W: in x out), an index map g_in on the rows, g_out on the columns, and C(i) the number of target
coordinates that map to source coordinate i:

    U~[i, :] = W[g_in(i), :] / C(g_in(i))        reading side: divide by the count
    U [:, j] = U~[:, g_out(j)]                   writing side: copy
    b_u[j]   = b[g_out(j)]                       no division

One residual map g_D serves the whole network (embeddings, every layer, head). Whole heads are copied, with one map
per layer. The FFN has one map per layer. Norm gains and shifts are copied through g_D. The tied token table cannot be
divided, so the gains and shifts of the norm before it are divided instead (how the authors treat it is not known;
Staged Training does this). Depth: stack, then the top layers (section 3.4), or each layer repeated in place
(AquilaMoE's AKI-Pro).

`map: random` draws added coordinates with replacement, as published; `balanced` cycles through them; `shuffled` deals
the balanced ones out in random order, so that copies have no regular places. Exact under LayerNorm only if every
residual coordinate is copied equally often: `balanced` and `shuffled` at an integer ratio.

Deviations: the published map is not the default. Adam is reset. The two-stage training of section 3.5 is in bert2bert.
"""

from growbench.growth.depth import Depth, interpolated, stacked
from growbench.growth.widening import Widening, widen
from growbench.methods import Method, Option, integer_ratio

OPTIONS = {
    "map": Option("balanced", "how added coordinates choose their source", choices=("balanced", "random", "shuffled")),
    "depth": Option("stack", "stack the layers, or repeat each in place", choices=("stack", "interpolate")),
}


class Bert2BertFpi(Method):
    title = "bert2BERT FPI"
    paper = "Chen et al., ACL 2022"
    preserves = "width at an integer ratio unless the map is random; depth unchanged"
    options = OPTIONS

    def exact(self, source, target, traits, options) -> bool:
        even = options["map"] != "random" and integer_ratio(source, target)
        return source.layers == target.layers and (even or source.hidden == target.hidden)

    def widen(self, source, target, options, rng) -> Widening:
        return widen(source, target, options["map"], rng)

    def deepen(self, source_layers, target_layers, options) -> Depth:
        return {"stack": stacked, "interpolate": interpolated}[options["depth"]](source_layers, target_layers)


METHOD = Bert2BertFpi()

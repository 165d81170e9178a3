"""Weight Selection: a small model from a large one (Xu et al., ICLR 2024; arXiv 2311.18823). The inverse of growth.

    W_t = W_s[I_out, I_in],     layers 1 .. L_t

I is a set of `n_t` of `n_s` coordinates: evenly spaced (`select: uniform`), the first ones, or drawn at random. There
is one set for the residual stream, and one for each layer's heads (kept whole) and FFN.

`rescale: true` multiplies what is read by n_s / n_t. With `select: first` it undoes FPI, HyperCloning and every other
growth that copies in turn at an integer ratio: select(grow(W)) = W, the round trip that the tests take.

Deviations: the paper chooses for each tensor and axis separately; here all axes of one space share one choice. The
authors' index is round(linspace(0, n_s - 1, n_t)), also across heads; ours is floor(i n_s / n_t), over whole heads.
The two sets differ at most ratios.
"""

import numpy as np

from growbench.growth import maps
from growbench.growth.depth import Depth, first
from growbench.growth.maps import Ints, SpaceMap
from growbench.growth.widening import Widening
from growbench.methods import Method, Option


class WeightSelection(Method):
    title = "Weight selection"
    paper = "Xu et al., ICLR 2024"
    shrinks = True
    options = {
        "select": Option("uniform", "which coordinates stay", choices=("uniform", "first", "random")),
        "rescale": Option(False, "multiply what is read by the ratio of sizes", choices=(False, True)),
    }

    def widen(self, source, target, options, rng) -> Widening:
        maps.require_same_head_size(source, target)

        def pick(size: int, wanted: int) -> Ints:
            if options["select"] == "random":
                return np.sort(rng.choice(size, wanted, replace=False)).astype(np.int64)
            if options["select"] == "first":
                return np.arange(wanted)
            return np.floor(np.arange(wanted) * size / wanted).astype(np.int64)

        def keep(index: Ints, size: int) -> SpaceMap:
            return maps.selected(index, size, rescale=options["rescale"])

        heads, kv_heads, ffn = [], [], []
        per_source, per_target = source.heads // source.kv_heads, target.heads // target.kv_heads
        for _ in range(source.layers):
            groups, inner = pick(source.kv_heads, target.kv_heads), pick(per_source, per_target)
            index = (groups[:, None] * per_source + inner).reshape(-1)
            heads.append(keep(maps.expand_heads(index, source.head_size), source.heads * source.head_size))
            kv_heads.append(keep(maps.expand_heads(groups, source.head_size), source.kv_heads * source.head_size))
            ffn.append(keep(pick(source.ffn, target.ffn), source.ffn))
        residual = keep(pick(source.hidden, target.hidden), source.hidden)
        return Widening(residual=residual, heads=tuple(heads), kv_heads=tuple(kv_heads), ffn=tuple(ffn))

    def deepen(self, source_layers, target_layers, options) -> Depth:
        return first(source_layers, target_layers)


METHOD = WeightSelection()

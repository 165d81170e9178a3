"""Weight Selection: a small model from a large one (Xu et al., ICLR 2024; arXiv 2311.18823). The inverse of growth.

    W_t = W_s[I_out, I_in],     layers 1 .. L_t

I is a set of `n_t` of `n_s` coordinates: evenly spaced (`select: uniform`), the first ones, or drawn at random. There
is one set for the residual stream, and one for each layer's heads and FFN. Evenly spaced means (`index`)

    round    every k-th at a ratio of k, else round(linspace(0, n_s - 1, n_t))       the authors'
    floor    floor(i n_s / n_t)                                                      ours; the same at a ratio of k

`heads: across` spaces the coordinates of all heads together, as the authors do, so that a target's head is made of
several; `whole` chooses heads. By default every matrix that is stored by itself has the authors' entries.

`rescale: true` multiplies what is read by n_s / n_t. With `select: first` it undoes FPI, HyperCloning and every other
growth that copies in turn at an integer ratio: select(grow(W)) = W, the round trip that the tests take.

Deviations: the authors choose for each tensor and axis; here all axes of one space share one choice, which is the same
for evenly spaced coordinates, but not for random ones. Fused queries, keys and values are one axis of three times the
size for them, and three here. They leave the classifier out; here it is selected like the rest.
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
        "index": Option("round", "which ones are evenly spaced", choices=("round", "floor")),
        "heads": Option("across", "choose coordinates across heads, or whole heads", choices=("across", "whole")),
        "rescale": Option(False, "multiply what is read by the ratio of sizes", choices=(False, True)),
    }

    def check(self, source, target, traits, options) -> None:
        super().check(source, target, traits, options)
        if options["heads"] == "whole":
            maps.require_same_head_size(source, target)

    def widen(self, source, target, options, rng) -> Widening:
        def pick(size: int, wanted: int) -> Ints:
            if options["select"] == "random":
                return np.sort(rng.choice(size, wanted, replace=False)).astype(np.int64)
            if options["select"] == "first":
                return np.arange(wanted)
            return spaced(size, wanted, options["index"])

        def keep(index: Ints, size: int) -> SpaceMap:
            return maps.selected(index, size, rescale=options["rescale"])

        def attention() -> tuple[Ints, Ints]:
            """Return the coordinates of queries and of keys and values."""
            if options["heads"] == "across":
                sizes = [(spec.heads * spec.head_size, spec.kv_heads * spec.head_size) for spec in (source, target)]
                (all_q, all_kv), (some_q, some_kv) = sizes
                kv = pick(all_kv, some_kv)
                return (kv if (all_q, some_q) == (all_kv, some_kv) else pick(all_q, some_q)), kv
            groups, inner = pick(source.kv_heads, target.kv_heads), pick(per_source, per_target)
            queries = (groups[:, None] * per_source + inner).reshape(-1)
            return maps.expand_heads(queries, source.head_size), maps.expand_heads(groups, source.head_size)

        heads, kv_heads, ffn = [], [], []
        per_source, per_target = source.heads // source.kv_heads, target.heads // target.kv_heads
        for _ in range(source.layers):
            queries, kv = attention()
            heads.append(keep(queries, source.heads * source.head_size))
            kv_heads.append(keep(kv, source.kv_heads * source.head_size))
            ffn.append(keep(pick(source.ffn, target.ffn), source.ffn))
        residual = keep(pick(source.hidden, target.hidden), source.hidden)
        return Widening(residual=residual, heads=tuple(heads), kv_heads=tuple(kv_heads), ffn=tuple(ffn))

    def deepen(self, source_layers, target_layers, options) -> Depth:
        return first(source_layers, target_layers)


def spaced(size: int, wanted: int, index: str) -> Ints:
    """Return evenly spaced coordinates, [wanted] of `size`. A ratio that is an integer k gives every k-th."""
    if index == "floor" or size % wanted == 0:
        return np.floor(np.arange(wanted) * size / wanted).astype(np.int64)
    return np.round(np.linspace(0, size - 1, wanted)).astype(np.int64)


METHOD = WeightSelection()

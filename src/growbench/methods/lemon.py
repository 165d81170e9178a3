"""LEMON: lossless expansion at any ratio (Wang et al., ICLR 2024; arXiv 2310.07999).

D_t = k D_s + r. The residual stream holds k copies of the source's, and r coordinates that do not change the norm's
statistics: the mean of the source's coordinates under LayerNorm, zero under RMSNorm. Then

    sum of squares about the mean (about zero)  =  k * the source's,  over D_t instead of k D_s coordinates

so gains are multiplied by sqrt(k D_s / D_t) and epsilon by k D_s / D_t, and the r coordinates are zero behind every
norm. Matrices that write the stream write its mean into them; matrices that read them are random there. Heads and FFN
units are copied in turn, and their readers are divided by the number of copies. Copies are read with uneven weights
of the same sum, which breaks their symmetry (`noise`). An added layer is a copy whose output projections are zero.
Exact at any ratio under pre-LN.

Deviations and limits: `noise`, a share of a tensor's std added to equal shares, is ours. The authors' code reads two
copies with W - C and C, where C has 0.1 of the initial scale (BERT), or adds random matrices of the full initial scale,
projected so that they cancel over the copies (ViT). It puts new layers after the top ones. Adam starts over.
The stock config must be able to set epsilon (OPT's cannot: inexact by epsilon's effect). Under
post-LN the norm's own output is the stream, and no linear map keeps both its mean and its gains at a non-integer
ratio: refused. Post-LN depth passes the stream through two norms, exact up to epsilon.
"""

from dataclasses import replace

from growbench.errors import GrowBenchError
from growbench.growth.depth import Depth, identities
from growbench.growth.widening import Widening, neutral, widen
from growbench.methods import Method, Option, identity_depth, integer_ratio


class Lemon(Method):
    title = "LEMON"
    paper = "Wang et al., ICLR 2024"
    ratios = "any (post-LN: integer for hidden)"
    preserves = "always under pre-LN; under post-LN up to epsilon"
    options = {
        "noise": Option(0.1, "noise on the copies that are read, as a share of a tensor's std", range=(0.0, 1.0))
    }

    def check(self, source, target, traits, options) -> None:
        super().check(source, target, traits, options)
        if not traits.pre_norm and not integer_ratio(source, target):
            near = max(2, round(target.hidden / source.hidden)) * source.hidden
            raise GrowBenchError(
                f"target.hidden: {target.hidden} is not a multiple of the source's {source.hidden}, and no exact map exists "
                f"for {source.family} (post-LN); use {near}"
            )

    def exact(self, source, target, traits, options) -> bool:
        settable = integer_ratio(source, target) or traits.eps is not None
        return settable and identity_depth(source, target, traits)

    def widen(self, source, target, options, rng) -> Widening:
        residual, share = neutral(source, target)
        return replace(
            widen(source, target, "balanced", rng),
            residual=residual,
            noise=options["noise"],
            statistics={"layer": share, "rms": share},
        )

    def deepen(self, source_layers, target_layers, options) -> Depth:
        return identities(source_layers, target_layers)


METHOD = Lemon()

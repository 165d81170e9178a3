"""LEMON: lossless expansion at any ratio (Wang et al., ICLR 2024; arXiv 2310.07999).

D_t = k D_s + r. The residual stream holds k copies of the source's and r coordinates that leave the norm's statistics
alone: the mean of the source's coordinates under LayerNorm, zero under RMSNorm. Then

    sum of squares about the mean (about zero)  =  k * the source's,  over D_t instead of k D_s coordinates

so gains take sqrt(k D_s / D_t) and epsilon k D_s / D_t, and the r coordinates are zero behind every norm. What writes the
stream is averaged into them, what reads them is random. Heads and FFN units are copied in turn, readers divided by the
number of copies. The weights with which copies are read are spread unevenly, with the same sum, which breaks their
symmetry (`noise`). An added layer is a copy whose output projections are zero. Exact at any ratio under pre-LN.

Deviations and limits: epsilon has to be free in the stock config (in OPT it is not: inexact by its share). Under
post-LN the norm's own output is the stream, and no linear map keeps both its mean and its gains at a ratio that is not
whole: refused. Post-LN depth passes the stream through two norms, exact up to epsilon.
"""

from dataclasses import replace

from growbench.errors import GrowBenchError
from growbench.growth.depth import Depth, identities
from growbench.growth.widening import Widening, neutral, widen
from growbench.methods._contract import Method, Option, identity_depth, whole_copies


class Lemon(Method):
    title = "LEMON"
    paper = "Wang et al., ICLR 2024"
    ratios = "any (post-LN: hidden whole)"
    preserves = "always under pre-LN; under post-LN up to epsilon"
    options = {
        "noise": Option(0.1, "unevenness of the copies that are read, as a share of a tensor's std", range=(0.0, 1.0))
    }

    def check(self, source, target, traits, options) -> None:
        super().check(source, target, traits, options)
        if not traits.pre_norm and not whole_copies(source, target):
            near = max(2, round(target.hidden / source.hidden)) * source.hidden
            raise GrowBenchError(
                f"target.hidden: {target.hidden} is not a multiple of the source's {source.hidden}; under post-LN no exact "
                f"map exists for {source.family}, use {near}"
            )

    def exact(self, source, target, traits, options) -> bool:
        settable = whole_copies(source, target) or traits.eps is not None
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

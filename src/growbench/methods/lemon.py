"""LEMON: lossless expansion at any ratio (Wang et al., ICLR 2024; arXiv 2310.07999).

D_t = k D_s + r. The residual stream holds k copies of the source's, and r coordinates that do not change the norm's
statistics: the mean of the source's coordinates under LayerNorm, zero under RMSNorm. Then

    sum of squares about the mean (about zero)  =  k * the source's,  over D_t instead of k D_s coordinates

so gains are multiplied by sqrt(k D_s / D_t) and epsilon by k D_s / D_t, and the r coordinates are zero behind every
norm. Matrices that write the stream write its mean into them; matrices that read them are random there. Heads and FFN
units are copied in turn. Exact at any ratio under pre-LN.

Copies are read with uneven weights, which breaks their symmetry but not their sum (`fanout`; R is the family's start
times `noise`):

    comp        [W - R, R]                                        the authors' BERT, noise 0.1
    projection  W / k + R - mean of R over the copies             the authors' ViT, noise 1
    equal       W / k + N, N a share `noise` of W's std           ours, 0.1

An added layer copies the layer below (`where`), but writes nothing (`silent`): the output projections are

    next        0, and added heads and FFN units come from the next source layer    the authors' BERT
    cancel      R - mean of R over the copies, so that gradients flow at once       the authors' ViT
    zero        0                                                                   ours

The defaults are those of the authors' BERT, also for images. `where: top` adds one copy to each of the top layers (the
authors'); `last` and `first` spread the copies (growth/depth.py).

Deviations and limits: the authors read at most two copies by `comp`; here each further one has an R of its own. The gains
of the r coordinates have no effect; they are random there and the mean gain here. An input without a second copy
is cancelled by zero. A depth above twice the source's is ours. Adam starts over. The stock config must be able to set
epsilon (OPT's cannot: inexact by epsilon's effect). Under post-LN the norm's own output is the stream, and no linear map
keeps both its mean and its gains at a non-integer ratio: refused. Post-LN depth passes the stream through two norms, exact
up to epsilon.
"""

from dataclasses import replace

from growbench.errors import GrowBenchError
from growbench.growth.depth import Depth, identities
from growbench.growth.widening import Widening, neutral, widen
from growbench.methods import Method, Option, identity_depth, integer_ratio

NOISE = {"comp": 0.1, "projection": 1.0, "equal": 0.1}


class Lemon(Method):
    title = "LEMON"
    paper = "Wang et al., ICLR 2024"
    ratios = "any (post-LN: integer for hidden)"
    preserves = "always under pre-LN; under post-LN up to epsilon"
    options = {
        "fanout": Option("comp", "how the copies of an input share its weight", choices=tuple(NOISE), older="equal"),
        "noise": Option(None, "size of the random part of these shares; null takes the usual one", range=(0.0, 1.0)),
        "silent": Option("next", "how an added layer writes nothing", choices=("next", "cancel", "zero"), older="zero"),
        "where": Option("top", "which layers are copied", choices=("first", "last", "top"), older="first"),
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
        noise = NOISE[options["fanout"]] if options["noise"] is None else options["noise"]
        return replace(
            widen(source, target, "balanced", rng),
            residual=residual,
            fanout=options["fanout"],
            noise=noise,
            statistics={"layer": share, "rms": share},
        )

    def deepen(self, source_layers, target_layers, options) -> Depth:
        above, cancel = options["silent"] == "next", options["silent"] == "cancel"
        layers = identities(source_layers, target_layers, options["where"])
        return tuple(replace(x, above=above, cancel=cancel) if x.silent else x for x in layers)


METHOD = Lemon()

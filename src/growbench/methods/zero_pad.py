"""Zero padding: the source in the corner of a larger network (Han Zhang, 2021; arXiv 2104.11390).

Rows = in, columns = out; R is the family's own random start:

    embeddings  E -> [E, 0]                  what writes a new residual coordinate is zero,
    inner       W -> [[W, R], [R, R]]        what reads one is not, so that gradients flow
    o, fc2      W -> [[W, 0], [0, 0]]        new heads and new FFN units write nothing
    layers      a copy of the layer below whose output projections are zero: an identity

With `eps` above 0 the zeros are N(0, eps^2) instead, the paper's "small values". Zeros are never on both sides of a
product. A vector padded with zeros has an RMS smaller by sqrt(D_s / D_t): RMSNorm gains are multiplied by that factor
and its epsilon by D_s / D_t, which makes RMSNorm families exact. Under LayerNorm new coordinates shift the mean, and
growing the hidden size is not exact.
"""

from dataclasses import replace

from growbench.growth.depth import Depth, identities
from growbench.growth.widening import Fill, Widening, widen
from growbench.methods import Method, Option, identity_depth

PADDED = (("residual", "writes"), ("heads", "reads"), ("ffn", "reads"))


class ZeroPad(Method):
    title = "Zero padding"
    paper = "Zhang, 2021"
    preserves = "with eps 0: FFN, heads and depth; hidden under RMSNorm"
    options = {"eps": Option(0.0, "standard deviation of the entries that would be zero", range=(0.0, 1.0))}

    def exact(self, source, target, traits, options) -> bool:
        wider = target.hidden > source.hidden
        padded = wider or target.heads > source.heads or target.ffn > source.ffn
        if not identity_depth(source, target, traits) or (padded and options["eps"] > 0):
            return False
        return not wider or (traits.norm == "rms" and traits.eps is not None)

    def widen(self, source, target, options, rng) -> Widening:
        fill = Fill(rules=dict.fromkeys(PADDED, options["eps"]))
        share = source.hidden / target.hidden
        return replace(widen(source, target, "new", rng), fill=fill, statistics={"rms": share})

    def deepen(self, source_layers, target_layers, options) -> Depth:
        return identities(source_layers, target_layers)


METHOD = ZeroPad()

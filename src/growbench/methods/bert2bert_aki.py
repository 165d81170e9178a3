"""bert2BERT AKI: advanced knowledge initialization (Chen et al., ACL 2022, section 3.3; arXiv 2110.07143).

Widened like FPI, but the added columns come from the next source layer, expanded on its reading side by its own
division:

    U^l[:, j] = U~^l    [:, j]                    j <= d_out^s
              = U~^(l+1)[:, g_out^(l+1)(j)]       j >  d_out^s

for the query, key and value heads, O, fc1 and fc2; biases follow their columns. Embeddings and norms: as in FPI. The
top layer has no next layer and falls back to FPI. Does not preserve the function. Depth: as in FPI. With
`depth: interpolate` this is AquilaMoE's AKI-Pro.
"""

from dataclasses import replace

from growbench.growth.widening import Widening, widen
from growbench.methods.bert2bert_fpi import OPTIONS, Bert2BertFpi


class Bert2BertAki(Bert2BertFpi):
    title = "bert2BERT AKI"
    paper = "Chen et al., ACL 2022"
    preserves = "no"
    options = OPTIONS

    def exact(self, source, target, traits, options) -> bool:
        return False

    def widen(self, source, target, options, rng) -> Widening:
        drawn = widen(source, target, options["map"], rng)
        return replace(
            drawn,
            residual=drawn.residual.with_donors(),
            heads=tuple(m.with_donors() for m in drawn.heads),
            kv_heads=tuple(m.with_donors() for m in drawn.kv_heads),
            ffn=tuple(m.with_donors() for m in drawn.ffn),
        )


METHOD = Bert2BertAki()

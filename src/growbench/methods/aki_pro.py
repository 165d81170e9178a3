"""AKI-Pro: AquilaMoE's form of bert2BERT's AKI (BAAI, 2024; arXiv 2408.06567).

Width as in bert2bert_aki: added columns come from the next source layer. What differs:

    depth    every layer is repeated in place, [ 1 2 ] -> [ 1 1 2 2 ], instead of stacked
    heads    query heads are added inside their groups, whose number stays

so that a model with grouped queries keeps its key/value heads. Without groups, key/value heads grow with the heads. Does not
preserve the function.
"""

from growbench.errors import GrowBenchError
from growbench.growth.depth import Depth, interpolated
from growbench.methods.bert2bert_aki import Bert2BertAki
from growbench.methods.bert2bert_fpi import OPTIONS


class AkiPro(Bert2BertAki):
    title = "AKI-Pro"
    paper = "AquilaMoE: BAAI, 2024"
    ratios = "any (grouped queries: the same groups)"
    options = {"map": OPTIONS["map"]}

    def check(self, source, target, traits, options) -> None:
        super().check(source, target, traits, options)
        if source.kv_heads < source.heads and target.kv_heads > source.kv_heads:
            raise GrowBenchError(
                f"target.kv_heads: {target.kv_heads} adds groups, but {self.name} adds query heads inside the source's "
                f"{source.kv_heads}; keep {source.kv_heads} or use bert2bert_aki"
            )

    def deepen(self, source_layers, target_layers, options) -> Depth:
        return interpolated(source_layers, target_layers)


METHOD = AkiPro()

"""Composable function-preserving expansions (Gesmundo & Maile, 2023; arXiv 2308.06103).

Independent exact expansions. Each sets the one block to zero that it needs; everything else new is random:

    FFN width     new rows of fc2 = 0
    heads         new heads' rows of W^O = 0
    hidden size   new columns of embeddings, W^O and fc2 = 0;  gains * sqrt(D_s / D_t), epsilon * D_s / D_t
    layers        W^O = 0 and fc2 = 0, biases too

They compose in any order. Made for pre-LN RMSNorm. Under LayerNorm hidden growth is refused, because the mean shifts.

Deviations: the paper's two other expansions, value size and key/query size, are impossible in stock models, where
rotary positions or hidden / heads fix the size of a head. An added layer starts as a copy of the one below, not
random.
"""

from growbench.errors import GrowBenchError
from growbench.methods import identity_depth
from growbench.methods.zero_pad import ZeroPad


class Composable(ZeroPad):
    title = "Composable expansions"
    paper = "Gesmundo & Maile, 2023"
    ratios = "any (hidden: RMSNorm only)"
    preserves = "always"
    options = {}

    def check(self, source, target, traits, options) -> None:
        super().check(source, target, traits, options)
        if target.hidden > source.hidden and traits.norm != "rms":
            raise GrowBenchError(
                f"target.hidden: {target.hidden} is wider than the source's {source.hidden}, which {self.name} supports only "
                f"under RMSNorm, but {source.family} has LayerNorm; keep {source.hidden} or use lemon"
            )
        if not identity_depth(source, target, traits):
            raise GrowBenchError(
                f"target.layers: {target.layers} cannot be reached exactly under post-LN with epsilon {traits.eps}; "
                f"keep {source.layers} or use lemon"
            )

    def exact(self, source, target, traits, options) -> bool:
        return True

    def widen(self, source, target, options, rng):
        return super().widen(source, target, {"eps": 0.0}, rng)


METHOD = Composable()

"""Composable function-preserving expansions (Gesmundo & Maile, 2023; arXiv 2308.06103).

Independent exact expansions. Each sets the one block to zero that it needs; everything else new is random:

    FFN width     new rows of fc2 = 0
    heads         new heads' rows of W^O = 0
    hidden size   new columns of embeddings, W^O and fc2 = 0;  gains * sqrt(D_s / D_t), epsilon * D_s / D_t
    layers        W^O = 0 and fc2 = 0, biases too

They compose in any order. Made for pre-LN RMSNorm. Under LayerNorm hidden growth is refused, because the mean shifts.
So it is where the epsilon of the norms cannot be set without that of others, and heads are where norms run over all heads.

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
        if target.hidden > source.hidden and traits.eps is None:
            raise GrowBenchError(
                f"target.hidden: {target.hidden} is wider than the source's {source.hidden}, for which {self.name} scales "
                f"epsilon, but {source.family} has one epsilon for all norms, also those of queries and keys; keep "
                f"{source.hidden} or use hypercloning"
            )
        if target.heads > source.heads and traits.norm_over_heads:
            raise GrowBenchError(
                f"target.heads: {target.heads} adds heads to the source's {source.heads}, but {source.family} normalizes "
                f"queries and keys over all heads together; keep {source.heads} or use hypercloning"
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

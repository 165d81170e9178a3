"""Staged Training's growth operators (Shen et al., ICML 2022; arXiv 2203.06211).

Width: copies that do not see one another,

    W -> [[W, 0], [0, W]],   b -> [b, b],   gains and embeddings repeated,   last norm halved before a tied head

so that loss is kept, and training dynamics too. Depth: `identity` puts after each layer a copy that writes nothing,
`copy` repeats each layer in place (the paper's "alternate" options).

Deviations: any whole ratio, the paper doubles. The paper's moments are wrong off the diagonal, where the true gradient
is not zero; policy `scaled` (growth/moments.py) takes the gradient of the whole tiled matrix. When to grow is a plan's
affair and not part of this operator.
"""

from dataclasses import replace

from growbench.growth.depth import Depth, identities, interpolated
from growbench.growth.widening import Widening, widen
from growbench.methods._contract import Method, Option, identity_depth, require_multiples, require_whole_groups


class Staged(Method):
    title = "Staged training operators"
    paper = "Shen et al., ICML 2022"
    ratios = "whole (depth: any)"
    preserves = "width; depth with depth=identity"
    options = {"depth": Option("identity", "what an added layer is at first", choices=("identity", "copy"))}

    def check(self, source, target, traits, options) -> None:
        super().check(source, target, traits, options)
        require_multiples(source, target, ("hidden", "heads", "kv_heads", "ffn"), self.name)
        require_whole_groups(source, target, self.name)

    def exact(self, source, target, traits, options) -> bool:
        kept = options["depth"] == "identity" and identity_depth(source, target, traits)
        return kept or source.layers == target.layers

    def widen(self, source, target, options, rng) -> Widening:
        return replace(widen(source, target, "balanced", rng), coupling="diagonal")

    def deepen(self, source_layers, target_layers, options) -> Depth:
        return {"identity": identities, "copy": interpolated}[options["depth"]](source_layers, target_layers)


METHOD = Staged()

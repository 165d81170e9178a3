"""Sparse upcycling: a dense model becomes a mixture of experts (Komatsuzaki et al., ICLR 2023; arXiv 2212.05055).

    FFN_e = FFN for every expert e,    y = sum over the active experts of w_e FFN_e(x) = FFN(x),  as their w_e add up to 1

Every layer's FFN becomes `experts` copies of itself behind a router, which sends each token to `active` of them; all else
is as it was. The target is the stock family of mixtures with the source's layers: llama and mistral become mixtral, qwen2
qwen2_moe, qwen3 qwen3_moe. `router: random` draws the router like the family's other matrices (the authors': 0.02);
`zero` gives all experts the same weight, so that every token goes to the first ones until the router has learned.

The shared expert of qwen2_moe is the FFN, too: its sigmoid is 1/2 at first, and the experts write the other half.

Deviations: the authors put experts into every second layer, with tokens chosen by experts in encoders; the stock classes
have them in every layer, and tokens choose. Adam starts over, unless a growth is told to take its moments along.
"""

from growbench.errors import GrowBenchError
from growbench.growth.mixing import Mixing
from growbench.methods import Method, Option
from growbench.spec import SHAPE_KEYS, MixtureSpec


class Upcycle(Method):
    title = "Sparse upcycling"
    paper = "Komatsuzaki et al., ICLR 2023"
    grows = ("experts",)
    ratios = "any number of experts"
    preserves = "always"
    options = {"router": Option("random", "how the router starts", choices=("random", "zero"))}

    def check(self, source, target, traits, options) -> None:
        for key in SHAPE_KEYS:
            small, big = getattr(source, key), getattr(target, key)
            if small != big:
                raise GrowBenchError(
                    f"target.{key}: {big}, but {self.name} makes experts of FFNs and changes no other size; keep {small}"
                )
        if not isinstance(target, MixtureSpec):
            raise GrowBenchError(
                f"target.experts: {self.name} makes mixtures of experts, and the target has none; use another method"
            )

    def exact(self, source, target, traits, options) -> bool:
        return True

    def mixing(self, options) -> Mixing:
        return Mixing(router=float(options["router"] == "random"))


METHOD = Upcycle()

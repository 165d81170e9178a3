"""HyperCloning: n copies of every hidden vector (Samragh et al., 2024; arXiv 2409.12903).

x_t = [x_s, ..., x_s], n times. A matrix that writes it is repeated. One that reads it is repeated and divided by n.
One that does both is (in PyTorch's out x in orientation, n = 2)

    symmetric  [[W, W], [W, W]] / 2          diagonal  [[W, 0], [0, W]]

and `noisy_*` adds [[+a, -a], [-b, +b]], noise `snr` decibels below the weights whose copies cancel (for n copies: its
sum over the copies of an input is zero). Vectors, gains and embeddings are repeated. A tied head is corrected by 1/n
in the norm before it. `heads: duplicate` copies whole heads. `heads: widen` keeps their number, repeats the
coordinates inside each head and multiplies queries by sqrt(d_s / d_t). n is any integer; hidden, heads and FFN each
have their own n. Depth does not change. Exact.

Deviations: with one key/value head the authors keep one; here it grows like the others unless the target has one. They
untie a tied Llama, here the norm before the head is divided.

Not possible: `heads: widen` under rotary positions, whose frequencies depend on the size of a head.
"""

from dataclasses import replace

from growbench.errors import GrowBenchError
from growbench.growth.widening import Widening, widen, widen_heads
from growbench.methods import Method, Option, require_equal_groups, require_multiples

VARIANTS = ("symmetric", "diagonal", "noisy_symmetric", "noisy_diagonal")


class HyperCloning(Method):
    title = "HyperCloning"
    paper = "Samragh et al., 2024"
    grows = ("hidden", "heads", "ffn")
    ratios = "integer"
    preserves = "always"
    options = {
        "variant": Option("symmetric", "how a matrix between two cloned spaces is filled", choices=VARIANTS),
        "snr": Option(10.0, "signal-to-noise ratio of the noisy variants, in decibels", range=(0.0, 100.0)),
        "heads": Option("duplicate", "copy whole heads, or make each wider", choices=("duplicate", "widen")),
    }

    def check(self, source, target, traits, options) -> None:
        super().check(source, target, traits, options)
        require_multiples(source, target, ("hidden", "heads", "kv_heads", "ffn"), self.name)
        if options["variant"].endswith("diagonal"):
            require_equal_groups(source, target, self.name)
        if options["heads"] == "widen":
            if traits.rotary:
                raise GrowBenchError(
                    f"methods.{self.name}.heads: widen is not possible in {source.family}, whose rotary positions have "
                    "frequencies that depend on the size of a head; use duplicate"
                )
            if (target.heads, target.kv_heads) != (source.heads, source.kv_heads):
                raise GrowBenchError(
                    f"target.heads: {target.heads} adds heads, but methods.{self.name}.heads is widen; keep {source.heads}"
                )
            require_multiples(source, target, ("head_size",), self.name)

    def exact(self, source, target, traits, options) -> bool:
        return True

    def widen(self, source, target, options, rng) -> Widening:
        wide = options["heads"] == "widen"
        made = widen_heads(source, target, rng) if wide else widen(source, target, "balanced", rng)
        noisy = options["variant"].startswith("noisy")
        return replace(
            made,
            coupling="diagonal" if options["variant"].endswith("diagonal") else "shared",
            noise=10.0 ** (-options["snr"] / 20.0) if noisy else 0.0,
        )


METHOD = HyperCloning()

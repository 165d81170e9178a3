"""Drop-Upcycling: upcycling whose experts differ from the start (Nakamura et al., ICLR 2025; arXiv 2502.19261).

Each expert is a copy of the FFN in which a share `ratio` of the units, drawn for each expert, is re-initialized: their rows of
the gate and up matrices and their columns of the down matrix are N(m, s^2), with m and s of the entries that they
replace. The authors find a ratio of 1/2 best. All else is as in `upcycle`. Exact at ratio 0 only.

Deviations: the authors' released code draws other units for each of the three matrices and shuffles the units of an
expert, which changes nothing; here, as in the paper, all three have the same units. A shared expert keeps all of its units.
"""

from growbench.growth.mixing import Mixing
from growbench.methods import Option
from growbench.methods.upcycle import Upcycle


class DropUpcycling(Upcycle):
    title = "Drop-Upcycling"
    paper = "Nakamura et al., ICLR 2025"
    preserves = "at ratio 0"
    options = {
        **Upcycle.options,
        "ratio": Option(0.5, "share of each expert's units that are re-initialized", range=(0.0, 1.0)),
    }

    def exact(self, source, target, traits, options) -> bool:
        return self.mixing(options).units(source.ffn) == 0

    def mixing(self, options) -> Mixing:
        return Mixing(router=super().mixing(options).router, renewed=float(options["ratio"]))


METHOD = DropUpcycling()

"""How a dense FFN becomes a mixture of experts; experts.py does it. No torch here: methods import this."""

import math
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Mixing:
    """How a mixture starts.

    router: standard deviation of the routers' weights, in units of the family's; 0 sends every token to the first experts.
    renewed: share of each expert's units that are re-initialized.
    """

    router: float = 1.0
    renewed: float = 0.0

    def units(self, ffn: int) -> int:
        """Return how many units of an expert are re-initialized."""
        return math.floor(self.renewed * ffn)

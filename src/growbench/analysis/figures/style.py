"""One color, marker and dash per method in every figure, from the method's name alone.

Known methods have a fixed entry. A new method gets an entry from a hash of its name, so nothing needs editing and no
other method changes color. Two new names may share a color, but hardly ever the marker and the dash as well. A variant
has the color of the method that it is a variant of, with a different marker and dash.

The colors are Okabe and Ito's and Paul Tol's, safe for color-blind readers. Markers and dashes keep figures readable in
grayscale.
"""

import hashlib
from dataclasses import dataclass
from typing import Literal

SOLID: tuple[float, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Style:
    """The look of one method.

    color: hex.
    marker: a matplotlib marker.
    dash: on-off lengths in line widths, empty for a solid line.
    """

    color: str
    marker: str
    dash: tuple[float, ...] = SOLID

    @property
    def line(self) -> tuple[float, tuple[float, ...]] | Literal["-"]:
        """Return the matplotlib linestyle."""
        return (0.0, self.dash) if self.dash else "-"


KNOWN = {
    "scratch": Style(color="#000000", marker="o", dash=(4, 1.5)),
    "scratch_iso": Style(color="#404040", marker="o", dash=(2, 1)),
    "source_longer": Style(color="#777777", marker="H", dash=(3, 1)),
    "placebo": Style(color="#AAAAAA", marker="h", dash=(1, 2)),
    "source": Style(color="#888888", marker="8", dash=(1, 1)),
    "stackbert": Style(color="#E69F00", marker="s"),
    "direct_copy": Style(color="#CC79A7", marker="v", dash=(1, 1)),
    "bert2bert_fpi": Style(color="#0072B2", marker="^"),
    "bert2bert_aki": Style(color="#D55E00", marker="D", dash=(5, 1.5, 1, 1.5)),
    "bert2bert": Style(color="#009E73", marker="P"),
    "mslt": Style(color="#56B4E9", marker="X", dash=(3, 1)),
    "ligo": Style(color="#882255", marker="*"),
    "mango": Style(color="#999933", marker="p", dash=(3, 1)),
    "compoundgrow": Style(color="#332288", marker=">", dash=(6, 1, 1, 1, 1, 1)),
    "zero_pad": Style(color="#800000", marker="<", dash=(6, 2)),
    "hypercloning": Style(color="#44AA99", marker="<", dash=(1, 1)),
    "lemon": Style(color="#B8860B", marker=">", dash=(3, 1)),
    "g_stack": Style(color="#AA4499", marker="d"),
}
COLORS = ("#117733", "#CC6677", "#6699CC", "#AA3377", "#997700", "#4477AA", "#EE7733", "#225555")
MARKERS = ("h", "p", "<", ">", "P", "X", "d", "8")
DASHES = (SOLID, (3.0, 1.0), (1.0, 1.0), (5.0, 1.5, 1.0, 1.5))


def style(method: str, base: str | None = None) -> Style:
    """Return the style of a method by its name; the same name has the same style in every figure and study.

    base: the method that it is a variant of.
    """
    if method in KNOWN:
        return KNOWN[method]
    code = hashlib.sha256(method.encode()).digest()
    if base not in (None, method):
        own = style(str(base))
        markers, dashes = [m for m in MARKERS if m != own.marker], [d for d in DASHES if d != own.dash]
        return Style(color=own.color, marker=markers[code[1] % len(markers)], dash=dashes[code[2] % len(dashes)])
    return Style(
        color=COLORS[code[0] % len(COLORS)],
        marker=MARKERS[code[1] % len(MARKERS)],
        dash=DASHES[code[2] % len(DASHES)],
    )


def order(methods: list[str]) -> list[str]:
    """Return the methods with scratch first and the others in the given order, as rows and legends list them."""
    return sorted(dict.fromkeys(methods), key=lambda name: name != "scratch")

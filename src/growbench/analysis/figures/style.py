"""One color, marker and dash per method in every figure, from the method's name alone.

Known methods have a fixed entry. A new method gets an entry from a hash of its name, so nothing needs editing and no
other method changes color. Two new names may share a color; `styles` keeps their markers apart. A variant has the color
of the method that it is a variant of, with a different marker and dash.

The colors are Okabe and Ito's and Paul Tol's, safe for color-blind readers. Markers and dashes keep figures readable in
grayscale.
"""

import hashlib
from collections.abc import Mapping
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
MARKERS: tuple[str, ...] = ("h", "p", "<", ">", "P", "X", "d", "8")
DASHES: tuple[tuple[float, ...], ...] = (SOLID, (3.0, 1.0), (1.0, 1.0), (5.0, 1.5, 1.0, 1.5))


def style(method: str, base: str | None = None, turn: int = 0) -> Style:
    """Return the style of a method by its name; the same name has the same style in every figure and study.

    base: the method that it is a variant of.
    turn: by how many places another marker than the first is taken.
    """
    if method in KNOWN:
        return KNOWN[method]
    code = hashlib.sha256(method.encode()).digest()
    color, markers, dashes = COLORS[code[0] % len(COLORS)], MARKERS, DASHES
    if base not in (None, method):
        own = style(str(base))
        color, markers = own.color, tuple(marker for marker in MARKERS if marker != own.marker)
        dashes = tuple(dash for dash in DASHES if dash != own.dash)
    return Style(color=color, marker=markers[(code[1] + turn) % len(markers)], dash=dashes[code[2] % len(dashes)])


def styles(bases: Mapping[str, str]) -> dict[str, Style]:
    """Return the styles of all methods of a figure: of two with one color and marker, the later takes the next free marker.

    bases: by method, the one that it is a variant of, or itself.
    """
    found: dict[str, Style] = {}
    for name, base in bases.items():
        taken = {(look.color, look.marker) for look in found.values()}
        looks = (style(name, base, turn) for turn in range(len(MARKERS)))
        found[name] = next((look for look in looks if (look.color, look.marker) not in taken), style(name, base))
    return found


def order(methods: list[str]) -> list[str]:
    """Return the methods with scratch first and the others in the given order, as rows and legends list them."""
    return sorted(dict.fromkeys(methods), key=lambda name: name != "scratch")

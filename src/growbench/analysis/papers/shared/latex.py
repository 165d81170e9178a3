"""Text to LaTeX: special characters are escaped, characters outside ASCII become commands."""

import re
import unicodedata
from collections.abc import Sequence

ESCAPES = {
    "\\": r"\textbackslash{}",
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    **{sign: f"{{{sign}}}" for sign in "[]"},
    "<": "$<$",
    ">": "$>$",
    "−": "$-$",
    "≥": r"$\geq$",
    "≤": r"$\leq$",
    "→": r"$\to$",
    "×": r"$\times$",
    "±": r"$\pm$",
    "²": "$^2$",
    "–": "--",
    "’": "'",
    "é": r"\'e",
}
MINUS = re.compile(r"(?<![\w.])-(?=\d)")


def escape(text: str) -> str:
    """Return `text` for LaTeX's text mode in ASCII; a hyphen before a number becomes a minus sign."""
    return "".join(ESCAPES.get(sign) or _ascii(sign) for sign in MINUS.sub("−", text))


def _ascii(sign: str) -> str:
    """Return a character without its accents, or ? if nothing in ASCII is left."""
    plain = unicodedata.normalize("NFKD", sign).encode("ascii", "ignore").decode()
    return plain or "?"


def table(
    label: str, caption: str, heads: Sequence[str], widths: Sequence[str], groups: Sequence[Sequence[Sequence[str]]]
) -> str:
    """Return a `table` environment: booktabs rules, a rule between groups, the first column left-aligned.

    widths: by column, a length for a column whose text wraps, or empty.
    """
    align = "".join(f"p{{{width}}}" if width else "r" if i else "l" for i, width in enumerate(widths))
    bodies = ["\n".join(_line(row) for row in group) for group in groups]
    inside = "\n\\midrule\n".join(bodies)
    return f"""\
% \\usepackage{{booktabs,adjustbox}}
\\begin{{table}}
\\centering
\\caption{{{escape(caption)}}}
\\label{{{label}}}
\\begin{{adjustbox}}{{max width=\\linewidth}}
\\begin{{tabular}}{{{align}}}
\\toprule
{_line(heads)}
\\midrule
{inside}
\\bottomrule
\\end{{tabular}}
\\end{{adjustbox}}
\\end{{table}}
"""


def _line(cells: Sequence[str]) -> str:
    return " & ".join(escape(cell) for cell in cells) + r" \\"

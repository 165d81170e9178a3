"""One table as CSV, Markdown and LaTeX."""

from growbench.analysis.papers.shared import latex
from growbench.analysis.papers.shared.table import Cell, Head, Table


def test_special_characters_of_latex_are_escaped() -> None:
    assert latex.escape(r"50 % of a_b & {c} \d ~^#$") == (
        r"50 \% of a\_b \& \{c\} \textbackslash{}d \textasciitilde{}\textasciicircum{}\#\$"
    )
    assert latex.escape("[-0.5, 1] ≥ −2 → ×1e-3, two-stage ü™") == (
        r"{[}$-$0.5, 1{]} $\geq$ $-$2 $\to$ $\times$1e-3, two-stage uTM"
    )


def test_a_cell_without_a_number_is_empty_in_csv_and_gives_its_reason() -> None:
    heads = [Head(key="method", text="m|n"), Head(key="x", text="x"), Head(key="y", text="y")]
    rows = [
        {"method": Cell(text="a", value="a"), "x": Cell(text="0.50 [0.4, 0.6]", value=0.5, lo=0.4, hi=0.6)},
        {"method": Cell(text="b", value="b"), "x": Cell(text="not reached", status="not reached")},
    ]
    table = Table(study="made", name="t", title="T", heads=heads, groups=[rows[:1], rows[1:]], notes=["n."])
    assert table.csv() == "method,x,x_lo,x_hi,x_status,y\na,0.5,0.4,0.6,,\nb,,,,not reached,\n"
    assert table.markdown().splitlines()[2] == r"| m\|n | x | y |"
    assert "| b | not reached | – |" in table.markdown() and "- n." in table.markdown()
    assert table.latex().count("\\midrule") == 2

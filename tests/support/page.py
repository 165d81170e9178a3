"""Tables on the Markdown pages that the benchmarks write."""

from pathlib import Path


def cells(page: Path, first: str) -> list[str]:
    """Return the cells of the one table row that begins with `first`."""
    lines = [line for line in page.read_text(encoding="utf-8").splitlines() if line.startswith(f"| {first}")]
    assert len(lines) == 1
    return [cell.strip() for cell in lines[0].strip("|").split("|")]


def number(cell: str) -> float:
    """Return the number in a cell, without thousands separators and percent sign."""
    return float(cell.replace(",", "").rstrip("%"))

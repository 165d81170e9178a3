"""Markdown tables: written, and read back."""

from collections.abc import Collection, Iterable, Sequence


def grid(head: Sequence[str], rows: Iterable[Sequence[str]], left: Collection[int] = (0,)) -> str:
    """Return a Markdown table; the columns with these numbers are left-aligned, the others right-aligned."""
    lines = [head, [":---" if i in left else "---:" for i in range(len(head))], *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines) + "\n"

"""Markdown and CSV tables as self-contained HTML pages, for the report: no script, no font, nothing from a network.

The Markdown is this project's own: headings, tables, lists, indented code, paragraphs, **bold**, *italic*, `code`, links.
"""

import html
import re

import pandas as pd

ROWS = 200  # of a CSV table that a page shows
LOOK = """
body { font: 14px/1.45 system-ui, sans-serif; color: #222; margin: 1.5rem; max-width: 80rem; }
h1 { font-size: 1.35rem; } h2 { font-size: 1.1rem; margin-top: 1.6rem; }
table { border-collapse: collapse; margin: 1rem 0; font-size: 12px; }
th, td { border-bottom: 1px solid #ddd; padding: .25rem .5rem; text-align: right; vertical-align: top; }
th:first-child, td:first-child { text-align: left; white-space: nowrap; }
th { border-bottom: 2px solid #888; } tr:nth-child(even) td { background: #f7f7f7; }
pre { background: #f5f5f5; padding: .7rem; overflow-x: auto; font-size: 12px; } code { background: #f2f2f2; }
"""
SPANS = (
    (r"`([^`]+)`", r"<code>\1</code>"),
    (r"\*\*([^*]+)\*\*", r"<strong>\1</strong>"),
    (r"(?<!\\)\*([^*\s][^*]*?)(?<!\\)\*", r"<em>\1</em>"),
    (r"\[([^\]]+)\]\((https?:[^)]+)\)", r'<a href="\2">\1</a>'),
    (r"\[([^\]]+)\]\((?!https?:)[^)]+\)", r"\1"),
    (r"\\([*|_`])", r"\1"),
)


def document(title: str, body: str) -> str:
    """Return a whole page around a body of HTML."""
    head = f'<meta charset="utf-8"><title>{html.escape(title)}</title><style>{LOOK}</style>'
    return f'<!doctype html>\n<html lang="en"><head>{head}</head><body>\n{body}\n</body></html>\n'


def markdown(text: str) -> str:
    """Return Markdown as HTML."""
    blocks = re.split(r"\n\s*\n", _items(text.strip("\n")))
    return "\n".join(_block(block.strip("\n")) for block in blocks if block.strip())


def _items(text: str) -> str:
    """Part a list or a heading from what stands right above or below it."""
    text = re.sub(r"^(#+ .*)$", r"\n\1\n", text, flags=re.MULTILINE)
    return re.sub(r"^((?!- |  ).+)\n(?=- )", r"\1\n\n", text, flags=re.MULTILINE)


def _block(block: str) -> str:
    lines = block.split("\n")
    if heading := re.match(r"(#+) (.*)", block):
        level = min(len(heading[1]), 4)
        return f"<h{level}>{_spans(heading[2])}</h{level}>"
    if lines[0].startswith("|"):
        return _table(lines)
    if lines[0].startswith("    "):
        return code("\n".join(line[4:] for line in lines))
    if lines[0].startswith("- "):
        items = re.split(r"\n- ", block[2:])
        return f"<ul>{''.join(f'<li>{_spans(item)}</li>' for item in items)}</ul>"
    return f"<p>{_spans(block)}</p>"


def _table(lines: list[str]) -> str:
    rows = [[_spans(cell.strip()) for cell in re.split(r"(?<!\\)\|", line.strip())[1:-1]] for line in lines]
    head = "".join(f"<th>{cell}</th>" for cell in rows[0])
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows[2:])
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _spans(text: str) -> str:
    text = html.escape(text, quote=False)
    for pattern, replacement in SPANS:
        text = re.sub(pattern, replacement, text)
    return text


def table(frame: pd.DataFrame) -> str:
    """Return a CSV table as HTML, its first ROWS rows."""
    cut = f"<p>The first {ROWS} of {len(frame)} rows; the CSV file has all of them.</p>" if len(frame) > ROWS else ""
    return cut + frame.head(ROWS).to_html(index=False, border=0, na_rep="", float_format=lambda value: f"{value:.6g}")


def code(text: str) -> str:
    """Return preformatted text."""
    return f"<pre>{html.escape(text)}</pre>"

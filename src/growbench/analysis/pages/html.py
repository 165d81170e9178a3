"""Markdown and CSV tables as self-contained HTML pages for the report: no script, no font, nothing from a network."""

import html

import pandas as pd
from markdown_it import MarkdownIt
from markdown_it.rules_core import StateCore

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


def document(title: str, body: str) -> str:
    """Return a complete page around a body of HTML."""
    head = f'<meta charset="utf-8"><title>{html.escape(title)}</title><style>{LOOK}</style>'
    return f'<!doctype html>\n<html lang="en"><head>{head}</head><body>\n{body}\n</body></html>\n'


def markdown(text: str) -> str:
    """Return Markdown as HTML. HTML in it is escaped, images become links, and links to files become text."""
    parser = MarkdownIt("commonmark", {"html": False}).enable("table").disable("image")
    parser.core.ruler.push("drop_local_links", _drop_local_links)
    rendered: str = parser.render(text)
    return rendered


def _drop_local_links(state: StateCore) -> None:
    """Keep the text of a link to a file: pages lie elsewhere than the files that they are made from."""
    for block in state.tokens:
        remaining, dropped = [], False
        for token in block.children or []:
            if token.type == "link_open":
                dropped = not str(token.attrGet("href")).startswith(("http:", "https:"))
            if not (dropped and token.type in ("link_open", "link_close")):
                remaining.append(token)
        if block.children is not None:
            block.children = remaining


def table(frame: pd.DataFrame) -> str:
    """Return a CSV table as HTML, its first ROWS rows."""
    cut = f"<p>The first {ROWS} of {len(frame)} rows; the CSV file has all of them.</p>" if len(frame) > ROWS else ""
    return cut + frame.head(ROWS).to_html(index=False, border=0, na_rep="", float_format=lambda value: f"{value:.6g}")


def code(text: str) -> str:
    """Return preformatted text."""
    return f"<pre>{html.escape(text)}</pre>"

"""Pages of the report."""

import re

from growbench.analysis.pages import html


def test_markdown_becomes_html_that_loads_nothing() -> None:
    text = (
        "# A *b*\n- one `x|y`\n  more\n- two\n\nPlain **bold** [file](docs/X.md), [page](https://example.org), ![i](x.png)."
        "\n\n| a | b |\n| :--- | ---: |\n| 1\\|2 | < 3 |\n\n    code <x>\n\n<script>alert(1)</script> <b>b</b>"
    )
    made = html.markdown(text)
    assert "<h1>A <em>b</em></h1>" in made
    assert "<li>one <code>x|y</code>\nmore</li>\n<li>two</li>" in made
    assert "Plain <strong>bold</strong> file, " in made and '<a href="https://example.org">page</a>' in made
    assert "<td" in made and ">1|2</td>" in made and ">&lt; 3</td>" in made
    assert "<pre><code>code &lt;x&gt;\n</code></pre>" in made
    assert "<script" not in made and "<b>" not in made and "&lt;script&gt;" in made
    assert not re.search(r"src=|<link|@import|url\(", html.document("t", made))

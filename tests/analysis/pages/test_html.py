"""Pages of the report: what comes from outside is text in them, never HTML."""

from pathlib import Path

import pandas as pd

from growbench.analysis.pages import html
from growbench.study import config

DEMO = Path(__file__).resolve().parents[3] / "config/demo.yaml"
EVIL = "<img src=x onerror=alert(1)>"


def test_nothing_from_outside_is_html() -> None:
    frame = pd.DataFrame({EVIL: [EVIL], "number": [1.0]})
    pages = [html.markdown(f"# {EVIL}\n\n| a |\n| --- |\n| {EVIL} |\n"), html.code(EVIL), html.table(frame)]
    for body in pages:
        assert "<img" not in html.document(EVIL, body) and "&lt;img" in body
    assert "<a" not in html.markdown("[a](javascript:alert(1)) ![b](javascript:alert(1))")


def test_the_name_of_a_config_file_is_text_on_the_configuration_page(tmp_path: Path) -> None:
    path = tmp_path / f"{EVIL}.yaml"
    path.write_text(f"extends: {DEMO}\nstudy: made\n")
    page = html.code(config.printed([path]))
    assert "<img" not in page and "&lt;img" in page

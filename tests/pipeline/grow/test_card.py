"""`growbench grow`: the model card."""

import json
from pathlib import Path

import pytest
from ruamel.yaml import YAML
from support.checkpoints import grow, saved

CARD = """---
license: apache-2.0
language:
- en
tags: [mine]
base_model: someone/else
---
# The source
"""


def head(folder: Path) -> dict[str, object]:
    text = (folder / "README.md").read_text(encoding="utf-8")
    return dict(YAML(typ="safe").load(text.split("---\n")[1]))


def test_the_card_says_where_the_model_comes_from(tmp_path: Path, source: Path) -> None:
    (source / "README.md").write_text(CARD)
    report = grow(source, out := tmp_path / "out", hidden=64)
    text = (out / "README.md").read_text()
    assert head(out) == {
        "license": "apache-2.0",
        "language": ["en"],
        "library_name": "transformers",
        "tags": ["growbench", "model-growth"],
        "base_model": "someone/else",
    }
    assert f"| parameters | {report['parameters_before']:,} | {report['parameters_after']:,} |" in text
    assert "| hidden | 32 | 64 |" in text and "`bert2bert_fpi` with `" in text and "Claimed: exact." in text
    assert f"Source: `{source}`" in text and "Its card is `source/README.md`" in text and "0 FLOPs" in text
    assert (out / "source/README.md").read_text() == CARD


@pytest.mark.parametrize(
    "given", ["---\n- a\n---\n", "---\n{\n---\n", "no head", "---\nlicense: !!python/none x\n---\n", "\0"]
)
def test_a_card_that_cannot_be_read_is_no_card(given: str, tmp_path: Path, source: Path) -> None:
    (source / "README.md").write_text(given)
    grow(source, out := tmp_path / "out", layers=4, measure=False)
    assert set(head(out)) == {"library_name", "tags"} and (out / "source/README.md").read_text() == given


def test_what_comes_from_outside_is_quoted(tmp_path: Path) -> None:
    source = saved(tmp_path / "a`<img src=x>\nb")
    (source / "README.md").write_text("---\nlicense: 'x\n  --- # <script>'\n---\n")
    grow(source, out := tmp_path / "out", layers=4, measure=False)
    text = (out / "README.md").read_text()
    assert "a'<img src=x>\\nb`" in text and text.count("\n# ") == 1
    assert head(out)["license"] == "x --- # <script>"
    assert json.loads((out / "growth.json").read_text())["source"]["directory"] == str(source)

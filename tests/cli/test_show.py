"""growbench show: a compact table from savings.csv, and where a study's results are."""

import re
import shutil
from pathlib import Path

import pytest

from growbench.cli import main as cli
from growbench.cli.tables import table

ROOT = Path(__file__).resolve().parents[2]


def shown(capsys: pytest.CaptureFixture[str], study: str) -> list[str]:
    assert cli.main(["show", "--config", str(ROOT / f"config/{study}.yaml")]) == 0
    return capsys.readouterr().out.splitlines()


def test_savings_fit_a_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    shutil.copytree(ROOT / "results/mini-gpt/tables", tmp_path / "results/mini-gpt/tables")
    monkeypatch.chdir(tmp_path)
    lines = shown(capsys, "mini-gpt")
    assert all(len(line) <= 80 for line in lines)
    row = next(line for line in lines if line.startswith("msg "))
    assert re.split(r"\s{2,}", row)[2:] == ["33 % [24, 41]", "65 %", "4.743"]
    text = "\n".join(lines)
    assert "Tokens per parameter at the last point: target 0." in text and "No placebo was run." in text
    names = [line.split()[0] for line in lines if line and line[0] != " "]
    controls = names.index("controls")
    assert names[1:3] == ["compoundgrow", "stackbert_identity"] and names[controls - 2 : controls] == ["ki", "mslt"]
    assert names[controls + 1 : controls + 4] == ["source_longer", "scratch_iso", "scratch"]
    assert lines[-3:] == [
        "Tables:  results/mini-gpt/tables",
        "Figures: figures/mini-gpt",
        "Report:  results/mini-gpt/report",
    ]


def test_a_study_without_tables_is_refused(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.main(["show", "--config", str(ROOT / "config/demo.yaml")]) == 2
    assert capsys.readouterr().err == (
        "growbench: results/demo/tables/savings.csv: no such table yet; run snakemake on this study first\n"
    )


def test_tables_are_plain_text_where_there_is_no_terminal() -> None:
    rows = {"": [["a", "1 [not reached, 2]"]], "others": [["b", "2"]]}
    assert table(("name", "value"), rows).splitlines() == [
        "name                 value",
        "a       1 [not reached, 2]",
        "",
        "others",
        "b                        2",
    ]


def test_tables_have_style_on_a_terminal_unless_no_color_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert "\x1b[1m" in table(("name",), {"": [["a"]]})
    monkeypatch.setenv("NO_COLOR", "1")
    assert table(("name",), {"": [["a"]]}) == "name\na"


@pytest.mark.parametrize("content", [b"", b"method,n\n", b"method,n\nscratch,3\n", b"\xff\xfe"])
def test_a_damaged_table_is_refused(
    content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    tables = tmp_path / "results/demo/tables"
    tables.mkdir(parents=True)
    (tables / "savings.csv").write_bytes(content)
    assert cli.main(["show", "--config", str(ROOT / "config/demo.yaml")]) == 2
    assert capsys.readouterr().err.endswith("not a complete table; run `growbench aggregate` on this study again\n")

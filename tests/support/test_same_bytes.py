"""The comparison of two runs covers every byte, except times and memory."""

import json
from pathlib import Path

import pytest
from support.same_bytes import differences

RECORD = {"kind": "pretrain", "points": [{"loss": 2.5, "wall_seconds": 1.5}], "provenance": {"date": "2026-11-21"}}
SEAL = {"state.json": {"sha256": "a"}, "tensors.safetensors": {"sha256": "b"}}
FILES = {
    "records/pretrain/a-s0.json": json.dumps(RECORD),
    "records/pretrain/a-s0.csv": "step,loss,wall_seconds\n1,2.5,1.5\n",
    "tables/runs.csv": "method,metric,value\na,loss,2.5\na,cpu_seconds,1.5\n",
    "tables/overview.md": "# Overview\n\n| method | wall time (s) | loss |\n| :--- | ---: | ---: |\n| a | 1.5 | 2.5 |\n\n- n = 1.5\n",
    "tables/overview.tex": "a & wall time saved & loss \\\\\n\\midrule\na & 1.5 & 2.5 \\\\\n\\bottomrule\n",
    "runs/a-s0/state/manifest.json": json.dumps(SEAL),
    "runs/a-s0/state.old/state.json": json.dumps({"step": 1.5}),
    "runs/a-s0/points/p100/model.safetensors": "bytes",
}


def write(folder: Path, changes: dict[str, str]) -> Path:
    for name, text in (FILES | changes).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def test_times_are_left_out_in_every_kind_of_file(tmp_path: Path) -> None:
    later = {name: text.replace("1.5", "9.75").replace("-21", "-22") for name, text in FILES.items()}
    later["runs/a-s0/state/manifest.json"] = json.dumps(SEAL | {"state.json": {"sha256": "c"}})
    later["tables/overview.md"] = later["tables/overview.md"].replace("n = 9.75", "n = 1.5")
    assert differences(write(tmp_path / "a", {}), write(tmp_path / "b", later)) == []


@pytest.mark.parametrize("name", [name for name in FILES if "state" not in name])
def test_anything_else_is_a_difference(tmp_path: Path, name: str) -> None:
    other = write(tmp_path / "b", {name: FILES[name].replace("2.5", "2.6").replace("bytes", "bits")})
    assert differences(write(tmp_path / "a", {}), other) == [f"{name}: differs"]


def test_a_missing_and_an_extra_file_are_differences(tmp_path: Path) -> None:
    one, other = write(tmp_path / "a", {}), write(tmp_path / "b", {"runs/a-s0/.lock": "", "runs/a-s0/state.tmp/x": ""})
    assert [line.partition(":")[0] for line in differences(one, other)] == ["runs/a-s0/.lock", "runs/a-s0/state.tmp/x"]
    (other / "tables/runs.csv").unlink()
    assert any(line.startswith("tables/runs.csv: only in") for line in differences(one, other))

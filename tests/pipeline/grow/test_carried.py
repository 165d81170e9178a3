"""`growbench grow`: what the source's directory has, the target's has too, or the report says what it does not have."""

import json
from pathlib import Path

import pytest
from support.checkpoints import FPI, grow, refusal

from growbench.cli import main as cli

CARRIED = (
    "modules.json", "sentence_bert_config.json", "2_Normalize/config.json", "USE_POLICY.md", "LICENSE", "bpe.codes",
    "additional_chat_templates/tool_use.jinja", "chat_template.jinja", "generation_config.json", "original/tokenizer.model",
    "modeling_mine.py", ".gitattributes",
)  # fmt: skip
LEFT = {
    "pytorch_model.bin": "weights",
    "onnx/model.onnx": "weights",
    "original/consolidated.00.pth": "weights",
    "original/params.json": "the source's sizes",
    "2_Dense/model.safetensors": "weights",
    "tf_model.h5": "weights",
    "pytorch_model.bin.index.json": "the index of weights",
    "optimizer.pt": "optimizer state",
    "trainer_state.json": "optimizer state",
    "rng_state_0.pth": "optimizer state",
    "checkpoint-500/": "another checkpoint",
    "optimizer/": "optimizer state",
    ".git/": "a hidden folder",
    "config.json": "written anew, with all of its keys",
    "model.safetensors": "weights",
}


def put(folder: Path, name: str, text: str = "") -> None:
    path = folder / (f"{name}inside" if name.endswith("/") else name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text or f"the source's {name}")


def test_everything_but_weights_and_state_is_carried_and_the_rest_is_reported(
    tmp_path: Path, source: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in (*CARRIED, *LEFT):
        if not (source / name).exists():
            put(source, name)
    out = tmp_path / "out"
    assert cli.main(["grow", str(source), str(out), "--method", FPI, "--layers", "4"]) == 0
    told = capsys.readouterr().out
    report = json.loads((out / "growth.json").read_text())
    assert report["files"]["not_carried"] == LEFT and set(report["files"]["carried"]) == set(CARRIED)
    for name in CARRIED:
        assert (out / name).read_text() == f"the source's {name}"
    assert "optimizer.pt (optimizer state)" in told and "12 carried" in told
    made = {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()}
    assert made - set(CARRIED) <= {"config.json", "model.safetensors", "growth.json", "README.md"}


def test_files_that_a_growth_writes_itself_are_kept_for_every_growth(tmp_path: Path, source: Path) -> None:
    put(source, "README.md", "about the source")
    grow(source, one := tmp_path / "one", layers=3, measure=False)
    assert (one / "source/README.md").read_text() == "about the source"
    report = grow(one, two := tmp_path / "two", layers=4, measure=False)
    assert (two / "source/source/README.md").read_text() == "about the source"
    assert json.loads((two / "source/growth.json").read_text())["target"]["layers"] == 3
    assert report["files"]["carried"]["growth.json"] == "source/growth.json"


def test_the_hidden_size_of_a_pooling_follows(tmp_path: Path, source: Path) -> None:
    put(source, "1_Pooling/config.json", json.dumps({"word_embedding_dimension": 32, "pooling_mode_mean_tokens": True}))
    report = grow(source, out := tmp_path / "out", hidden=64, measure=False)
    wanted = {"word_embedding_dimension": 64, "pooling_mode_mean_tokens": True}
    assert json.loads((out / "1_Pooling/config.json").read_text()) == wanted
    assert report["files"]["changed"] == ["1_Pooling/config.json"]


def test_an_adapter_must_be_merged_first(tmp_path: Path, source: Path, capsys: pytest.CaptureFixture[str]) -> None:
    put(source, "adapter_config.json", "{}")
    line = refusal(capsys, source, tmp_path / "out", "--layers", "4")
    assert "an adapter changes these weights; merge it first" in line


def test_links_that_need_not_be_read_are_not_carried_and_reported(tmp_path: Path, source: Path) -> None:
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret/note.md").write_text("secret")
    (source / "notes.md").symlink_to(tmp_path / "secret/note.md")
    (source / "folder").symlink_to(tmp_path / "secret")
    (source / "nowhere").symlink_to(tmp_path / "nowhere")
    report = grow(source, out := tmp_path / "out", layers=4, measure=False)
    left = report["files"]["not_carried"]
    assert left["folder/"] == "a symbolic link to a folder"
    assert left["notes.md"] == left["nowhere"] == "a symbolic link out of the directory"
    assert not {"notes.md", "folder", "nowhere"} & {path.name for path in out.iterdir()}

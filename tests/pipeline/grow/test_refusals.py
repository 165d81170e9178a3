"""`growbench grow`: a damaged source or a wrong request is refused in one line, before anything is written."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from support.checkpoints import FPI, refusal

from growbench.pipeline.grow import files


def spoil(folder: Path, how: str) -> None:
    """Damage a directory in one way."""
    config, weights = folder / "config.json", folder / files.WEIGHTS
    values, tensors = json.loads(config.read_text()), load_file(weights)
    first = "bert.embeddings.word_embeddings.weight"
    match how:
        case "pickled":
            weights.rename(folder / "pytorch_model.bin")
        case "no weights":
            weights.unlink()
        case "no config":
            config.unlink()
        case "half config":
            config.write_text("{")
        case "family":
            config.write_text(json.dumps({**values, "model_type": "mpnet"}))
        case "shared layers":
            config.write_text(json.dumps({**values, "model_type": "albert"}))
        case "quantized":
            config.write_text(json.dumps({**values, "quantization_config": {}}))
        case "shape":
            config.write_text(json.dumps({**values, "vocab_size": 51}))
        case "half weights":
            weights.write_bytes(weights.read_bytes()[:-8])
        case "missing":
            save_file({key: tensor for key, tensor in tensors.items() if key != first}, weights)
        case "integers":
            save_file({**tensors, first: tensors[first].to(torch.int8)}, weights)
        case "untied":
            save_file({**tensors, "cls.predictions.decoder.weight": tensors[first] + 1}, weights)
        case "index":
            weights.unlink()
            (folder / files.INDEX).write_text(json.dumps({"weight_map": {first: "../other.safetensors"}}))


@pytest.mark.parametrize(
    ("how", "wanted"),
    [
        ("pickled", "pytorch_model.bin), which are never loaded; convert them with save_pretrained(safe_serialization"),
        ("no weights", "no model.safetensors"),
        ("no config", "config.json: no such file"),
        ("half config", "config.json: not a complete JSON file"),
        ("shared layers", "model_type: albert cannot be grown: its layers share one set of weights"),
        ("family", "'mpnet' is not a known family; use a model of one of bert"),
        ("quantized", "quantized"),
        ("shape", "is [50, 32], but config.json says [51, 32]"),
        ("half weights", "not a complete safetensors file"),
        (
            "missing",
            "bert.embeddings.word_embeddings.weight is missing; use a directory that holds every tensor of BertForMaskedLM",
        ),
        ("integers", "is I8; use one of"),
        ("untied", "differ but are tied; set tie_word_embeddings to false"),
        ("index", "there is no file ../other.safetensors beside it"),
    ],
)
def test_a_damaged_directory_is_refused_in_one_line(
    how: str, wanted: str, tmp_path: Path, source: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spoil(source, how)
    assert wanted in refusal(capsys, source, tmp_path / "out", "--layers", "4")


def test_masked_growth_is_refused(tmp_path: Path, source: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "a checkpoint has no masks" in refusal(capsys, source, tmp_path / "out", "--layers", "4", method="msg")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_numbers_that_are_not_finite_are_refused_and_named(
    value: float, tmp_path: Path, source: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tensors = load_file(source / files.WEIGHTS)
    tensors["bert.embeddings.LayerNorm.weight"][3] = value
    save_file(tensors, source / files.WEIGHTS)
    assert "bert.embeddings.LayerNorm.weight grows to NaN" in refusal(capsys, source, tmp_path / "out", "--layers", "4")


@pytest.mark.parametrize(
    ("key", "value"),
    [("hidden_act", "nonsense"), ("pad_token_id", 1000), ("architectures", ["BertPreTrainedModel"]), ("vocab_size", 0)],
)
def test_a_config_that_the_stock_class_refuses_is_refused_in_one_line(
    key: str, value: object, tmp_path: Path, source: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = json.loads((source / "config.json").read_text())
    (source / "config.json").write_text(json.dumps({**config, key: value}))
    assert "config.json" in refusal(capsys, source, tmp_path / "out", "--layers", "4")


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        ("", "target: no size given; add one or more of --layers, --hidden"),
        ("--layers 2", "target: its sizes are the source's"),
        ("--layers 1", "--layers: 1 is smaller"),
        ("--layers 0", "--layers 0: not a size"),
        ("--hidden 16", "--hidden: 16 is smaller"),
        ("--hidden 40", "does not hold a whole number of heads of size 16; use 48, or add --heads"),
        ("--hidden 72", "use 64 or 80, or add --heads"),
        ("--hidden 64 --heads 3", "use --hidden 48 or --heads 4"),
        ("--heads 4", "4 heads of size 16 do not add up to hidden 32; use --hidden 64 or --heads 2"),
        ("--hidden 64 --kv-heads 2", "--kv-heads: "),
        ("--layers 4 --set mop=random", "--set mop: unknown option; did you mean 'map'"),
        ("--layers 4 --set map=rondom", "did you mean 'random'"),
        ("--layers 4 --set plan=mine.json", "--set plan: it is only for runs in a study"),
        ("--layers 4 --set map", "--set map: not of the form KEY=VALUE; write, for example, --set map=random"),
        ("--layers 4 --dtype float31", "did you mean 'float32'"),
        ("--layers 4 --text nowhere.txt", "no tokenizer, which --text needs"),
    ],
)
def test_a_wrong_request_is_refused_in_one_line(
    words: str, wanted: str, tmp_path: Path, source: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert wanted in refusal(capsys, source, tmp_path / "out", *words.split())


@pytest.mark.parametrize(
    ("method", "wanted"),
    [
        ("bert2bert_fip", "did you mean 'bert2bert_fpi'"),
        ("scratch", "it does not grow models; use one of"),
        ("stackbert", "does not grow hidden; methods that do: "),
    ],
)
def test_a_method_that_cannot_grow_the_checkpoint_is_refused(
    method: str, wanted: str, tmp_path: Path, source: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = refusal(capsys, source, tmp_path / "out", "--hidden", "64", method=method)
    assert wanted in line and FPI in line

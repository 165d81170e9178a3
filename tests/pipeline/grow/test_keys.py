"""`growbench grow`: every key of the source's config.json is in the target's, with its grown value."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from support.checkpoints import grow, refusal, saved
from transformers import AutoConfig, AutoModelForCausalLM

LLAMA3 = {
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 8,
}


def rewritten(source: Path, drop: tuple[str, ...] = (), **values: Any) -> dict[str, Any]:
    """Write other values into a directory's config.json, and return all of them."""
    config = json.loads((source / "config.json").read_text())
    config = {key: value for key, value in config.items() if key not in drop} | values
    (source / "config.json").write_text(json.dumps(config))
    return config


def read(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / "config.json").read_text()))


@pytest.mark.parametrize(
    ("name", "older"),
    [
        ("llama", {"rope_theta": 500000.0, "rope_scaling": LLAMA3, "torch_dtype": "float32"}),
        ("gpt_neox", {"rotary_pct": 1.0, "rotary_emb_base": 5000, "torch_dtype": "float32"}),
        ("qwen2", {"rope_theta": 2000.0, "rope_scaling": None, "use_sliding_window": False}),
    ],
)
def test_older_spellings_stay_beside_the_new_one(name: str, older: dict[str, Any], tmp_path: Path) -> None:
    source = saved(tmp_path / "source", name)
    before = rewritten(source, ("rope_parameters", "dtype"), **older)
    report = grow(source, out := tmp_path / "out", method="lemon", layers=4)
    after = read(out)
    assert {key: after[key] for key in older} == older and before.keys() <= after.keys()
    assert after["rope_parameters"] == AutoConfig.from_pretrained(source).rope_parameters
    assert report["measured"]["relative_delta"] < 1e-5 and report["keys"]["unknown"] == []
    assert "dtype" not in after or name == "qwen2"
    ids = torch.arange(14)[None]  # as long as the positions reach
    one, other = (AutoModelForCausalLM.from_pretrained(folder).eval()(ids).logits for folder in (source, out))
    assert (one - other).abs().max() < 1e-5 * one.abs().max()


def test_keys_follow_the_growth_under_every_name(tmp_path: Path) -> None:
    source = saved(tmp_path / "source", "gpt2")
    rewritten(source, num_hidden_layers=3, n_ctx=14, mine={"a": [1]})
    report = grow(source, out := tmp_path / "out", method="lemon", layers=5)
    after = read(out)
    assert (after["num_hidden_layers"], after["n_layer"], after["n_ctx"], after["mine"]) == (5, 5, 14, {"a": [1]})
    assert report["keys"]["changed"] == {"num_hidden_layers": [3, 5], "n_layer": [3, 5]}
    assert {"mine", "n_ctx"} <= set(report["keys"]["unknown"]) and report["keys"]["added"] == []


def test_lists_with_an_entry_per_layer_follow_the_depth_map(tmp_path: Path) -> None:
    source = saved(tmp_path / "source", "qwen2")
    kinds = ["full_attention", "sliding_attention"]
    rewritten(
        source, layer_types=kinds, sliding_window=4, use_sliding_window=True, mine=["a", "b"], eos_token_id=[1, 2]
    )
    options = ("layers=0-1,0-1,1",)
    report = grow(source, out := tmp_path / "out", method="layers", layers=5, options=options)
    after = read(out)
    assert after["layer_types"] == [*kinds, *kinds, kinds[1]] and after["mine"] == ["a", "b", "a", "b", "b"]
    assert after["eos_token_id"] == [1, 2] and report["keys"]["changed"].keys() == {
        "layer_types",
        "mine",
        "num_hidden_layers",
    }


def test_a_dtype_that_is_asked_for_is_in_both_spellings(tmp_path: Path, source: Path) -> None:
    rewritten(source, torch_dtype="float32", dtype="float32")
    grow(source, out := tmp_path / "out", layers=4, dtype="bfloat16")
    assert read(out)["torch_dtype"] == read(out)["dtype"] == "bfloat16"


def test_a_key_that_is_not_implemented_any_more_is_refused(
    tmp_path: Path, source: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rewritten(source, position_embedding_type="relative_key")
    line = refusal(capsys, source, tmp_path / "out", "--layers", "4")
    assert "position_embedding_type is 'relative_key', which transformers no longer implements" in line
    rewritten(source, position_embedding_type="absolute")
    assert grow(source, tmp_path / "out", layers=4)["keys"]["unknown"] == ["position_embedding_type"]


def test_an_older_spelling_that_contradicts_the_new_one_stays_what_the_stock_class_reads(tmp_path: Path) -> None:
    source = saved(tmp_path / "source", "llama")
    rewritten(source, rope_theta=7.0)  # beside rope_parameters, which has its own
    grow(source, out := tmp_path / "out", method="lemon", layers=4)
    assert AutoConfig.from_pretrained(out).rope_parameters == AutoConfig.from_pretrained(source).rope_parameters


@pytest.mark.parametrize("named", [["BertForMaskedLM"], ["BertForQuestionAnswering"]])
def test_a_config_without_a_model_type_is_known_by_its_class(
    named: list[str], tmp_path: Path, source: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if named == ["BertForMaskedLM"]:
        rewritten(source, ("model_type",), architectures=named)
        report = grow(source, out := tmp_path / "out", hidden=64)
        assert report["measured"]["relative_delta"] < 1e-5 and read(out)["model_type"] == "bert"
    else:
        rewritten(source, ("model_type", "architectures"))
        assert "has no model_type; add it, as one of bert" in refusal(capsys, source, tmp_path / "out", "--layers", "4")

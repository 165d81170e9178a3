"""`growbench grow`: no remedy for a missing tensor fills it with random numbers; nothing that the model needs is left out."""

import json
from pathlib import Path

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file
from support.checkpoints import grow, headed, refusal, saved

from growbench.pipeline.grow import files
from growbench.pipeline.grow.report import lines


def renamed(source: Path, change: dict[str, str] | str) -> None:
    """Rename tensors: a prefix for all of them, or parts of names (an empty new name removes the tensor)."""
    tensors = load_file(source / files.WEIGHTS)
    if isinstance(change, str):
        made = {change + name: tensor for name, tensor in tensors.items()}
    else:
        for old, new in change.items():
            tensors = {
                name.replace(old, new) if new else name: t for name, t in tensors.items() if new or old not in name
            }
        made = tensors
    save_file(made, source / files.WEIGHTS)


def test_a_missing_head_of_the_table_s_shape_names_the_tie(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = saved(tmp_path / "source", "llama")
    renamed(source, {"lm_head": ""})
    line = refusal(capsys, source, tmp_path / "out", "--layers", "4", method="lemon")
    assert (
        "tensor lm_head.weight is missing; if the head shares the token table, set tie_word_embeddings to true" in line
    )
    config = json.loads((source / "config.json").read_text())
    (source / "config.json").write_text(json.dumps({**config, "tie_word_embeddings": True}))
    assert grow(source, tmp_path / "out", method="lemon", layers=4)["measured"]["relative_delta"] < 1e-5


@pytest.mark.parametrize("wrapper", ["_orig_mod.", "module.", "module._orig_mod."])
def test_names_of_wrappers_are_left_out_of_names_and_reported(wrapper: str, tmp_path: Path) -> None:
    source = saved(tmp_path / "source", "gpt2")
    grow(source, tmp_path / "plain", method="lemon", layers=5)
    renamed(source, wrapper)
    report = grow(source, out := tmp_path / "out", method="lemon", layers=5)
    assert (out / files.WEIGHTS).read_bytes() == (tmp_path / "plain" / files.WEIGHTS).read_bytes()
    assert report["renamed"] and report["measured"]["relative_delta"] < 1e-5 and "renamed" in lines(report, out)


def test_wrappers_inside_names_are_left_out_too(tmp_path: Path) -> None:
    source = saved(tmp_path / "source", "llama")
    renamed(source, {"model.layers.1.": "model.layers.1._orig_mod.", "mlp.": "mlp._checkpoint_wrapped_module."})
    report = grow(source, tmp_path / "out", method="lemon", layers=4)
    assert report["renamed"] and report["measured"]["relative_delta"] < 1e-5


def test_an_unknown_prefix_of_all_names_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = saved(tmp_path / "source", "gpt2")
    renamed(source, "student.net.")
    line = refusal(capsys, source, tmp_path / "out", "--layers", "5", method="lemon")
    assert (
        "all names begin with 'student.net.', which GPT2LMHeadModel does not have; rename the tensors without it"
        in line
    )


def test_a_file_of_the_body_alone_names_the_body_s_class(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = headed(tmp_path / "source", transformers.BertForSequenceClassification, num_labels=3)
    renamed(source, {"classifier": ""})
    line = refusal(capsys, source, tmp_path / "out", "--layers", "4")
    assert "classifier.weight is missing (1 more are)" in line and 'set architectures to ["BertModel"]' in line


@pytest.mark.parametrize(
    ("name", "extra", "where"),
    [
        ("llama", "model.layers.0.self_attn.q_norm.weight", "belongs to layer 0"),
        ("llama", "model.layers.7.mlp.up_proj.weight", "belongs to layer 7"),
        ("llama", "model.layers.1.self_attn.q_proj.lora_A.weight", "belongs to layer 1"),
        ("llama", "model.norm.bias", "belongs to model.norm"),
        ("llama", "lm_head.bias", "belongs to lm_head"),
        ("gpt2", "transformer.h.3.attn.c_attn.bias", "belongs to layer 3"),
        ("gpt2", "wpe.bias", "belongs to wpe"),
    ],
)
def test_a_tensor_that_would_change_the_model_is_not_left_out(
    name: str, extra: str, where: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = saved(tmp_path / "source", name)
    save_file({**load_file(source / files.WEIGHTS), extra: torch.ones(3)}, source / files.WEIGHTS)
    line = refusal(capsys, source, tmp_path / "out", "--layers", "6", method="lemon")
    assert f"tensor {extra} {where}, but the " in line and "has no place for it" in line


def test_buffers_that_older_releases_stored_are_not_part_of_the_model(tmp_path: Path) -> None:
    source = saved(tmp_path / "source", "gpt_neox")
    inside = "gpt_neox.layers.0.attention"
    buffers = {
        f"{inside}.bias": torch.ones(1, 1, 4, 4, dtype=torch.uint8),
        f"{inside}.masked_bias": torch.tensor(-1e9),
        f"{inside}.rotary_emb.inv_freq": torch.ones(4),
    }
    save_file({**load_file(source / files.WEIGHTS), **buffers}, source / files.WEIGHTS)
    report = grow(source, tmp_path / "out", method="lemon", layers=4)
    assert report["left_out"] == [] and report["measured"]["relative_delta"] < 1e-5

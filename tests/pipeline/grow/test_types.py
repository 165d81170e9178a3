"""`growbench grow`: each tensor keeps its type; what changes is said."""

import json
from pathlib import Path

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file
from support.checkpoints import grow, saved

from growbench import families
from growbench.growth.depth import Layer
from growbench.pipeline.grow import dtypes, files
from growbench.pipeline.grow.report import lines


def mixed(source: Path, **types: torch.dtype) -> None:
    """Store the tensors whose names contain a key in another type."""
    tensors = load_file(source / files.WEIGHTS)
    for part, dtype in types.items():
        tensors |= {name: tensor.to(dtype) for name, tensor in tensors.items() if part in name}
    save_file(tensors, source / files.WEIGHTS)


@pytest.mark.parametrize("dtype", ["bfloat16", None])
def test_one_wider_tensor_leaves_the_others_as_they_are(dtype: str | None, tmp_path: Path) -> None:
    source = saved(tmp_path / "source", "llama", torch.bfloat16)
    config = json.loads((source / "config.json").read_text())
    config = {key: value for key, value in config.items() if key != "dtype"} | ({"dtype": dtype} if dtype else {})
    (source / "config.json").write_text(json.dumps(config))
    mixed(source, input_layernorm=torch.float32)
    report = grow(source, out := tmp_path / "out", method="lemon", layers=4, hidden=48)
    written = load_file(out / files.WEIGHTS)
    norms = {name: tensor.dtype for name, tensor in written.items() if "input_layernorm" in name}
    assert set(norms.values()) == {torch.float32} and len(norms) == 4
    assert {tensor.dtype for name, tensor in written.items() if name not in norms} == {torch.bfloat16}
    assert report["types"]["before"]["float32"]["tensors"] == 2 and report["types"]["after"]["float32"]["tensors"] == 4
    assert report["dtype"] == "bfloat16" and report["claimed"]["rounding"] == "bfloat16"
    assert "types      " in lines(report, out) and "4 tensors of float32" in lines(report, out)
    assert json.loads((out / "config.json").read_text())["dtype"] == "bfloat16"
    assert transformers.AutoModelForCausalLM.from_pretrained(out).dtype == torch.bfloat16
    cast = grow(source, other := tmp_path / "cast", method="lemon", layers=4, dtype="float32")
    assert {tensor.dtype for tensor in load_file(other / files.WEIGHTS).values()} == {torch.float32}
    assert cast["types"]["after"].keys() == {"float32"} and "-> 39 tensors of float32" in lines(cast, other)


def test_a_layer_of_several_has_a_type_for_all_of_their_numbers() -> None:
    family = families.load("llama")
    config = family.config(family.example_spec())
    roles = family.roles(config)
    source = dict.fromkeys(roles, torch.bfloat16) | {"model.layers.0.mlp.up_proj.weight": torch.float16}
    grown_roles = family.roles(family.config(family.example_spec().resized(layers=3)))
    depth = (Layer(((0, 1.0),)), Layer(((0, 0.5), (1, 0.5))), Layer(((1, 1.0),)))
    found = dtypes.of_target(source, roles, grown_roles, depth)
    types = [found[f"model.layers.{layer}.mlp.up_proj.weight"] for layer in range(3)]
    assert types == [torch.float16, torch.float32, torch.bfloat16]


def test_types_of_a_config_that_differ_from_the_file_s_stay(tmp_path: Path, source: Path) -> None:
    """As in releases whose config says float16 beside float32 weights: both stay as they are."""
    config = json.loads((source / "config.json").read_text())
    (source / "config.json").write_text(json.dumps({**config, "dtype": "float16"}))
    report = grow(source, out := tmp_path / "out", hidden=64)
    assert {tensor.dtype for tensor in load_file(out / files.WEIGHTS).values()} == {torch.float32}
    assert json.loads((out / "config.json").read_text())["dtype"] == "float16"
    assert report["claimed"]["exact"] and report["measured"]["relative_delta"] < 1e-5

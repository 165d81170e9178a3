"""`growbench grow`: sizes that the user leaves out follow from the source."""

import dataclasses

import pytest
from support.helpers import SOURCE, SPECS

from growbench import families
from growbench.pipeline.grow.sizes import target_spec
from growbench.spec import SHAPE_KEYS


@pytest.mark.parametrize(
    ("name", "asked", "wanted"),
    [
        ("bert", {"hidden": 64}, {"heads": 4, "kv_heads": 4, "head_size": 16, "ffn": 128}),
        ("bert", {"hidden": 64, "heads": 2}, {"head_size": 32}),
        ("bert", {"hidden": 64, "head_size": 32}, {"heads": 2}),
        ("bert", {"layers": 4}, {"hidden": 32, "ffn": 64, "heads": 2}),
        ("bert", {"hidden": 64, "ffn": 100}, {"ffn": 100}),
        ("llama", {"hidden": 36}, {"heads": 9, "kv_heads": 3, "head_size": 10, "ffn": 66}),
        ("llama", {"heads": 12}, {"hidden": 24, "kv_heads": 4, "head_size": 10, "ffn": 44}),
        ("llama", {"heads": 12, "kv_heads": 2}, {"kv_heads": 2}),
    ],
)
def test_sizes_left_out_follow(name: str, asked: dict[str, int], wanted: dict[str, int]) -> None:
    source = SOURCE if name == "bert" else SPECS[name]
    target = target_spec(families.load(name), source, asked)
    assert {key: getattr(target, key) for key in wanted} == wanted
    assert dataclasses.replace(target, **{key: getattr(source, key) for key in SHAPE_KEYS}) == source

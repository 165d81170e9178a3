"""Depth by an explicit list: the layers of the models that have one, lists that follow, and refusals."""

import pytest
import torch
from support.helpers import SPECS, inputs, perturbed

from growbench import families, methods
from growbench.errors import GrowBenchError
from growbench.growth.model import grow_model
from growbench.growth.preservation import measure
from growbench.study import files

LAYERS = methods.load("layers")
TRAITS = families.load("bert").traits()


def order(source: int, target: int, **options) -> list[int]:
    return [layer.sources[0][0] for layer in LAYERS.deepen(source, target, LAYERS.check_options(options))]


@pytest.mark.parametrize(
    ("source", "target", "options", "expected"),
    [
        (32, 48, {}, [*range(24), *range(8, 32)]),  # SOLAR
        (32, 48, {"layers": "0-23,8-31"}, [*range(24), *range(8, 32)]),
        (24, 36, {}, [*range(18), *range(6, 24)]),
        (3, 6, {}, [0, 1, 2, 0, 1, 2]),
        (3, 3, {}, [0, 1, 2]),
        (32, 40, {"repeat": "8-15"}, [*range(16), *range(8, 32)]),
        (4, 5, {"repeat": "2"}, [0, 1, 2, 2, 3]),
        (4, 8, {"repeat": "0-3"}, [0, 1, 2, 3, 0, 1, 2, 3]),
        (4, 6, {"layers": [0, "1-2", 2, "2 ", 3]}, [0, 1, 2, 2, 2, 3]),
        (4, 4, {"layers": "3,2,1,0"}, [3, 2, 1, 0]),
        (1, 1, {"layers": 0}, [0]),
    ],
)
def test_a_list_says_where_each_layer_comes_from(source: int, target: int, options, expected: list[int]) -> None:
    assert order(source, target, **options) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [("layers=0-23,8-31", "0-23,8-31"), ("layers=[0-1, 1]", ["0-1", 1]), ("layers=[0, 1, 1]", [0, 1, 1])],
)
def test_a_list_is_read_from_the_command_line_as_from_a_study(text: str, expected) -> None:
    assert LAYERS.check_options(files.change(text))["layers"] == expected


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"layers": "0-3,4-5"}, "methods.layers.layers: the source has no layer 4; use layers from 0 to 3"),
        ({"layers": []}, "methods.layers.layers: [] names no layer; write, for example, 0-23,8-31"),
        ({"layers": ""}, "methods.layers.layers: '' names no layer"),
        ({"layers": None}, "methods.layers.layers: null is not allowed"),
        ({"layers": "3-1"}, "methods.layers.layers: '3-1' is not a layer or FIRST-LAST; write, for example, 0-23,8-31"),
        ({"layers": "0,,1"}, "'' is not a layer or FIRST-LAST"),
        ({"layers": [0, 1.5]}, "1.5 is not a layer or FIRST-LAST"),
        ({"layers": [0, True]}, "True is not a layer"),
        ({"layers": "-1,0"}, "'-1' is not a layer"),
        ({"layers": "solr"}, "'solr' is not a layer or FIRST-LAST"),
        ({"layers": {"a": 1}}, "is not a layer or FIRST-LAST"),
        ({"layers": "0-3,0"}, "it makes 5 layers, but target.layers is 6; use 5, or another list"),
        ({"repeat": "1-4"}, "methods.layers.repeat: the source has no layer 4"),
        ({"repeat": "0,2"}, "methods.layers.repeat: '0,2' is not one block; use FIRST-LAST, such as 8-15"),
        ({"repeat": "1"}, "methods.layers.repeat: it makes 5 layers, but target.layers is 6; use 5"),
        ({"repeat": ""}, "methods.layers.repeat: '' is not allowed; use text"),
    ],
)
def test_a_list_that_does_not_fit_is_refused_in_one_line(options, words: str) -> None:
    source = SPECS["bert"].resized(layers=4)
    with pytest.raises(GrowBenchError) as caught:
        LAYERS.check(source, source.resized(layers=6), TRAITS, LAYERS.check_options(options))
    assert words in str(caught.value) and "\n" not in str(caught.value)


def test_solar_has_two_copies() -> None:
    source = SPECS["bert"].resized(layers=4)
    with pytest.raises(GrowBenchError, match=r"target\.layers: 9 is more than two copies.*use at most 8, or give"):
        LAYERS.check(source, source.resized(layers=9), TRAITS, LAYERS.check_options({}))


def test_layers_and_per_layer_lists_follow_the_list() -> None:
    family, spec = families.load("qwen2"), SPECS["qwen2"].resized(layers=3)
    kinds = ["full_attention", "sliding_attention", "full_attention"]
    source = perturbed(family, spec, layer_types=kinds, use_sliding_window=True, sliding_window=4)
    options = LAYERS.check_options({"layers": "0-2,1,1"})
    target = grow_model(source, family, spec.resized(layers=5), LAYERS, options)
    assert target.config.layer_types == [kinds[i] for i in (0, 1, 2, 1, 1)]
    for new, old in zip(target.model.layers, (0, 1, 2, 1, 1), strict=True):
        assert torch.equal(new.mlp.up_proj.weight, source.model.layers[old].mlp.up_proj.weight)


def test_a_list_of_the_source_is_the_source() -> None:
    family, spec = families.load("gpt2"), SPECS["gpt2"]
    source = perturbed(family, spec)
    same = grow_model(source, family, spec, LAYERS, LAYERS.check_options({"layers": "0-2"}))
    assert measure(family, source, same, inputs(family, source.config)).max_abs_delta == 0

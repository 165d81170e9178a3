"""Methods: their files, their rows of the methods table, and growth that they refuse."""

import pytest
from support.helpers import SOURCE

from growbench import families, methods
from growbench.errors import GrowBenchError

TRAITS = families.load("bert").traits()


def test_files_of_a_method_include_those_of_the_methods_that_it_derives_from() -> None:
    assert [path.stem for path in methods.files("bert2bert")] == ["bert2bert", "bert2bert_aki", "bert2bert_fpi"]
    assert [path.stem for path in methods.files("stack")] == ["stack"]


def test_a_row_spells_options_as_a_config_does() -> None:
    assert methods.load("weight_selection").row()["options"].endswith("heads=across, rescale=false")
    assert "slope=null" in methods.load("staged").row()["options"]


def test_an_unknown_method_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(GrowBenchError, match="'lemmon' is not known; did you mean 'lemon'"):
        methods.load("lemmon")


@pytest.mark.parametrize("key", ["layers", "ffn"])
def test_a_method_that_shrinks_refuses_a_larger_target(key: str) -> None:
    method = methods.load("weight_selection")
    size = getattr(SOURCE, key)
    with pytest.raises(GrowBenchError, match=rf"target\.{key}: {2 * size}, but .* only shrinks; use at most {size}"):
        method.check(SOURCE, SOURCE.resized(**{key: 2 * size}), TRAITS, method.check_options({}))

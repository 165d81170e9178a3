"""Weight selection: the sets of the authors' code, across heads or in whole heads."""

import numpy as np
import pytest
import torch
from support.helpers import SPECS, perturbed

from growbench import families, methods
from growbench.errors import GrowBenchError
from growbench.growth.model import grow_model
from growbench.methods.weight_selection import spaced

SELECTION = methods.load("weight_selection")


@pytest.mark.parametrize(
    ("size", "wanted", "expected"),
    [
        (8, 4, [0, 2, 4, 6]),
        (12, 4, [0, 3, 6, 9]),
        (6, 4, [0, 2, 3, 5]),  # linspace gives 0, 1.67, 3.33, 5
        (10, 4, [0, 3, 6, 9]),
        (7, 3, [0, 3, 6]),
        (6, 3, [0, 2, 4]),
        (4, 3, [0, 2, 3]),  # 1.5 is rounded to even, as torch and numpy do
        (5, 1, [0]),
        (3, 3, [0, 1, 2]),
    ],
)
def test_evenly_spaced_is_what_the_authors_code_takes(size: int, wanted: int, expected: list[int]) -> None:
    assert spaced(size, wanted, "round").tolist() == expected


def test_floor_is_the_other_choice() -> None:
    assert spaced(6, 4, "floor").tolist() == [0, 1, 3, 4] and spaced(8, 4, "floor").tolist() == [0, 2, 4, 6]


def authors(tensor: torch.Tensor, shape: torch.Size) -> torch.Tensor:
    """Select along every axis on its own, as the released function does."""
    for dim, wanted in enumerate(shape):
        size = tensor.shape[dim]
        index = torch.round(torch.linspace(0, size - 1, wanted, dtype=torch.float64))
        index = torch.arange(wanted) * (size // wanted) if size % wanted == 0 else index
        tensor = tensor.index_select(dim, index.long())
    return tensor


@pytest.mark.parametrize("sizes", [{"hidden": 18, "heads": 3, "ffn": 29}, {"hidden": 16, "heads": 2, "ffn": 31}])
def test_by_default_every_matrix_has_the_authors_entries(sizes: dict[str, int]) -> None:
    family, spec = families.load("vit"), SPECS["vit"]
    source = perturbed(family, spec)
    target = grow_model(source, family, spec.resized(layers=1, **sizes), SELECTION, SELECTION.check_options({}))
    old = dict(source.named_parameters())
    for name, parameter in target.named_parameters():
        assert torch.equal(parameter, authors(old[name].detach(), parameter.shape)), name


def test_whole_heads_are_the_other_choice() -> None:
    family, spec = families.load("bert"), SPECS["bert"].resized(hidden=48, heads=4)
    source, wanted = perturbed(family, spec), spec.resized(hidden=24, heads=2)
    target = grow_model(source, family, wanted, SELECTION, SELECTION.check_options({"heads": "whole"}))
    small, big = (m.bert.encoder.layer[0].attention.self.query.bias for m in (target, source))
    assert torch.equal(small, big[np.r_[0:12, 24:36]])
    with pytest.raises(GrowBenchError, match="cannot be copied from heads of size 12"):
        thinner = spec.resized(hidden=24, heads=4)
        grow_model(source, family, thinner, SELECTION, SELECTION.check_options({"heads": "whole"}))


def test_thinner_heads_can_be_chosen_across_heads() -> None:
    family, spec = families.load("bert"), SPECS["bert"].resized(hidden=48, heads=4)
    source, wanted = perturbed(family, spec), spec.resized(hidden=24, heads=4)
    target = grow_model(source, family, wanted, SELECTION, SELECTION.check_options({}))
    assert family.spec(target.config) == wanted

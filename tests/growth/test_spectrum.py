"""Tail energy: known values, and what it is after methods that copy exactly."""

import pytest
import torch
from support.matrix import FAMILIES, cases, grow, source_model

from growbench import families, methods
from growbench.growth.spectrum import tail_energy


def of(family: str, model: torch.nn.Module, rank: int) -> float | None:
    return tail_energy(families.load(family), model, rank)


@pytest.mark.parametrize("family", FAMILIES)
def test_exact_copies_have_no_energy_beyond_their_source_and_a_random_model_has(family: str) -> None:
    case = cases(family)["width x 2"]
    assert of(family, grow("hypercloning", family, case)[1], case[0].hidden) < 1e-12
    assert of(family, source_model(family, case[1]), case[0].hidden) > 0.1


def test_hypercloning_noise_is_visible() -> None:
    case, given = cases("gpt2")["width x 2"], methods.load("hypercloning").check_options({"variant": "noisy_symmetric"})
    assert 0.01 < of("gpt2", grow("hypercloning", "gpt2", case, given)[1], case[0].hidden) < 0.1


def test_tail_energy_is_the_mean_share_of_squared_singular_values() -> None:
    model = source_model("gpt2", cases("gpt2")["width x 2"][1])
    width = model.config.n_embd
    parts = ("attn.c_attn", "attn.c_proj", "mlp.c_fc", "mlp.c_proj")  # not the token table, of fewer rows than columns
    names = [f"h.{n}.{part}" for n in range(2) for part in parts]
    shares = []
    for name in names:
        values = torch.linalg.svdvals(model.transformer.get_submodule(name).weight.detach()) ** 2
        assert len(values) == width, name
        shares.append(float(values[10:].sum() / values.sum()))
    assert of("gpt2", model, 10) == pytest.approx(sum(shares) / len(shares), rel=1e-9)


def test_there_is_no_tail_energy_without_added_width() -> None:
    model = source_model("bert", cases("bert")["depth x 2"][0])
    assert of("bert", model, model.config.hidden_size) is None
    assert of("bert", model, model.config.hidden_size + 1) is None


def test_a_matrix_of_zeros_is_left_out() -> None:
    case = cases("gpt2")["width x 2"]
    _, model = grow("hypercloning", "gpt2", case)
    with torch.no_grad():
        model.transformer.h[0].mlp.c_proj.weight.zero_()
    assert of("gpt2", model, case[0].hidden) < 1e-12

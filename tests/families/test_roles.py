"""Every family: a role for every parameter, and fused parameters taken apart and put together."""

import pytest
import torch
import transformers
from support.helpers import SPECS, TIES, doubled, grown, move, perturbed, stock

from growbench import families
from growbench.errors import GrowBenchError
from growbench.families import axis_size, fixed, reads, writes
from growbench.growth.transfer import join, split


@pytest.mark.parametrize(("name", "tied"), TIES)
def test_every_parameter_has_its_role_and_its_size(name: str, tied: bool) -> None:
    family, config = families.load(name), stock(name, tie_word_embeddings=tied)
    roles = family.roles(config)
    model = family.build(config, seed=None)
    assert list(roles) == [n for n, _ in model.named_parameters()]
    for key, parameter in model.named_parameters():
        assert all(len(component.axes) == parameter.dim() for component in roles[key].components), key
    for key, parameter in model.named_parameters():
        if len(roles[key].components) == 1:
            for length, axis in zip(parameter.shape, roles[key].components[0].axes, strict=True):
                assert axis_size(axis, SPECS[name]) in (length, None), key


@pytest.mark.parametrize("name", families.names())
def test_every_layer_has_the_modules_that_the_engine_looks_for(name: str) -> None:
    family, config = families.load(name), stock(name)
    for layer in range(SPECS[name].layers):
        kinds = [p.kind for r in family.roles(config).values() if r.layer == layer for p in r.components]
        assert {"q", "k", "v", "o", "fc1", "fc2"} <= set(kinds)
        assert ("norm_out" in kinds) == (not family.pre_norm(config))
        assert ("gate" in kinds) == (family.ffn_matrices == 3)


def test_an_undescribed_head_is_refused() -> None:
    family = families.load("gpt2")
    with pytest.raises(GrowBenchError, match=r"multiple_choice_head.*has no role"):
        family.roles(stock("gpt2"), transformers.GPT2DoubleHeadsModel)
    assert family.auto_class(stock("gpt2")) is family.auto_class(stock("gpt2", architectures=["NoSuchModel"]))


@pytest.mark.parametrize("name", families.names())
def test_split_and_join_are_inverse(name: str) -> None:
    family, config = families.load(name), stock(name)
    model = move(family.build(config), 2)
    fused = {key: role for key, role in family.roles(config).items() if len(role.components) > 1}
    for key, role in fused.items():
        components = split(model.get_parameter(key), role, SPECS[name])
        sizes = [axis_size(component.axes[role.fused], SPECS[name]) for component in role.components]
        assert [component.shape[role.fused] for component in components] == sizes
        assert torch.equal(join(components, role, SPECS[name]), model.get_parameter(key))


def test_neox_interleaves_heads_and_gpt2_does_not() -> None:
    rows = torch.arange(3 * 48)
    role = families.load("gpt_neox").roles(stock("gpt_neox"))["gpt_neox.layers.0.attention.query_key_value.bias"]
    query, _, value = split(rows, role, SPECS["gpt_neox"])
    assert query.tolist() == [*range(16), *range(48, 64), *range(96, 112)] and value[0] == 32
    role = families.load("gpt2").roles(stock("gpt2"))["transformer.h.0.attn.c_attn.bias"]
    assert [component.tolist() for component in split(rows[:108], role, SPECS["gpt2"])][1] == list(range(36, 72))


def test_conv1d_reads_rows_and_writes_columns() -> None:
    family, spec = families.load("gpt2"), SPECS["gpt2"]
    source = perturbed(family, spec)
    target = grown(family, source, doubled(spec))
    for key, axes in (("c_fc", (reads("residual"), writes("ffn"))), ("c_proj", (reads("ffn"), writes("residual")))):
        name = f"transformer.h.1.mlp.{key}.weight"
        assert family.roles(source.config)[name].components[0].axes == axes
        small = source.get_parameter(name)
        assert torch.allclose(target.get_parameter(name), small.repeat(2, 2) / 2)


def test_tables_outside_the_residual_do_not_change() -> None:
    family = families.load("opt")
    source = perturbed(family, SPECS["opt"], word_embed_proj_dim=16)
    target = grown(family, source, doubled(SPECS["opt"]))
    assert target.config.word_embed_proj_dim == 16 and not family.tied(source.config)
    name = "model.decoder.embed_tokens.weight"
    assert family.roles(source.config)[name].components[0].axes == (fixed("vocab"), fixed("projection"))
    assert torch.equal(target.get_parameter(name), source.get_parameter(name))

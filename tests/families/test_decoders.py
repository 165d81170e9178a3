"""Today's decoders: scaled embeddings, gains of 1 + w, norms after branches and of queries and keys, fused matrices."""

from typing import Any

import pytest
import torch
from support.helpers import SPECS, TEXT, doubled, drift, grown, inputs, perturbed, stock
from transformers.models.auto.configuration_auto import CONFIG_MAPPING_NAMES

from growbench import families, methods
from growbench.errors import GrowBenchError
from growbench.families._refused import REFUSED
from growbench.growth.model import grow_model, operator_of
from growbench.spec import ModelSpec

GEMMAS = ("gemma", "gemma2", "gemma3_text")


def by(method: str, name: str, source: torch.nn.Module, target: ModelSpec, **options: Any) -> Any:
    made = methods.load(method)
    return grow_model(source, families.load(name), target, made, made.check_options(options)).eval()


@pytest.mark.parametrize("name", TEXT)
def test_the_head_on_the_encoded_input_gives_the_stock_logits(name: str) -> None:
    family = families.load(name)
    model = perturbed(family, SPECS[name], dtype=torch.float32)
    given = inputs(family, model.config)
    assert torch.equal(family.head(model, family.encode(model, given)), model(given).logits)


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("name", GEMMAS)
def test_scaled_embeddings_stay_what_they_were_and_a_tied_head_makes_up_for_it(name: str, tied: bool) -> None:
    family, spec = families.load(name), SPECS[name]
    source = perturbed(family, spec, tie_word_embeddings=tied)
    target = grown(family, source, doubled(spec))
    given = inputs(family, source.config)
    small, big = (model.model.embed_tokens(given) for model in (source, target))
    assert torch.allclose(big, small.repeat(1, 1, 2), rtol=1e-12)
    ratio = (1 + target.model.norm.weight) / (1 + source.model.norm.weight).repeat(2)
    assert torch.allclose(ratio, torch.full_like(ratio, 2**0.5 / 2 if tied else 1.0), rtol=1e-12)


def test_a_gain_of_one_plus_w_is_scaled_as_a_whole_and_starts_at_one() -> None:
    family, spec = families.load("gemma"), SPECS["gemma"]
    source = perturbed(family, spec, tie_word_embeddings=False)
    target = by("zero_pad", "gemma", source, spec.resized(hidden=36))
    old, new = (1 + m.model.layers[1].input_layernorm.weight for m in (source, target))
    assert torch.allclose(new[:24], old * (24 / 36) ** 0.5, rtol=1e-12) and (new[24:] == 1).all()
    assert target.config.rms_norm_eps == pytest.approx(source.config.rms_norm_eps * 24 / 36)
    assert drift("gemma", source, target) <= 1e-10


@pytest.mark.parametrize(("name", "silent"), [("gemma2", -1.0), ("gemma3_text", -1.0), ("olmo2", 0.0)])
@pytest.mark.parametrize("how", ["next", "cancel", "zero"])
def test_an_added_layer_is_silenced_by_the_norms_after_its_branches(name: str, silent: float, how: str) -> None:
    source = perturbed(families.load(name), SPECS[name])
    target = by("lemon", name, source, SPECS[name].resized(layers=3), silent=how)
    added, copied = target.model.layers[2], source.model.layers[1]
    assert (added.post_attention_layernorm.weight == silent).all()
    assert (added.post_feedforward_layernorm.weight == silent).all()
    assert torch.equal(added.self_attn.o_proj.weight, copied.self_attn.o_proj.weight)
    assert (target.model.layers[1].post_attention_layernorm.weight != silent).all()
    assert drift(name, source, target) == 0
    target(inputs(families.load(name), source.config)).logits.square().sum().backward()
    assert added.post_feedforward_layernorm.weight.grad.abs().max() > 0


def test_layers_without_rotary_positions_follow_the_depth_map() -> None:
    family, spec = families.load("smollm3"), SPECS["smollm3"].resized(layers=3)
    source = perturbed(family, spec, no_rope_layers=[0, 1, 1])
    target = by("lemon", "smollm3", source, spec.resized(layers=5), where="first")
    assert target.config.no_rope_layers == [0, 0, 1, 1, 1]
    assert [layer.self_attn.use_rope for layer in target.model.layers] == [0, 0, 1, 1, 1]
    assert drift("smollm3", source, target) <= 1e-10


@pytest.mark.parametrize("name", ["gemma2", "gemma3_text"])
def test_layers_keep_their_window_and_its_frequencies(name: str) -> None:
    family, spec = families.load(name), SPECS[name].resized(layers=3)
    kinds = ["full_attention", "sliding_attention", "full_attention"]
    source = perturbed(family, spec, layer_types=kinds)
    target = by("lemon", name, source, spec.resized(layers=4), where="top")
    assert target.config.layer_types == [*kinds, kinds[-1]]
    assert target.config.rope_parameters == source.config.rope_parameters
    assert drift(name, source, target) <= 1e-10


def test_norms_over_all_heads_are_kept_only_if_each_head_has_as_many_copies() -> None:
    family = families.load("olmo2")
    spec = SPECS["olmo2"].resized(hidden=24, heads=4, kv_heads=2, head_size=6)
    config, fpi = family.config(spec), methods.load("bert2bert_fpi")
    for sizes, options, kept in (
        ({"heads": 8, "kv_heads": 4}, {}, True),
        ({"heads": 8, "kv_heads": 2}, {}, True),
        ({"heads": 6, "kv_heads": 3}, {}, False),
        ({"heads": 6, "kv_heads": 2}, {}, False),
        ({"heads": 8, "kv_heads": 4}, {"map": "random"}, False),
    ):
        given, target = fpi.check_options(options), spec.resized(head_size=6, **sizes)
        assert fpi.exact(spec, target, family.traits(config), given)  # the hidden size does not change
        operator, _ = operator_of(family, config, target, fpi, given, 1)
        assert operator.keeps_head_norms == kept, (sizes, options)
    llama = families.load("llama")
    operator, _ = operator_of(
        llama, llama.config(SPECS["llama"]), SPECS["llama"].resized(heads=9, kv_heads=3, hidden=36), fpi, given, 1
    )
    assert operator.keeps_head_norms


@pytest.mark.parametrize(
    ("name", "shared"), [("qwen3", True), ("gemma3_text", True), ("olmo2", True), ("gemma2", False)]
)
def test_an_epsilon_that_other_norms_share_is_not_scaled(name: str, shared: bool) -> None:
    family, spec = families.load(name), SPECS[name]
    source = perturbed(family, spec)
    target = by("lemon", name, source, spec.resized(hidden=36))
    assert (target.config.rms_norm_eps == source.config.rms_norm_eps) == shared
    assert (family.traits(source.config).eps is None) == shared
    if shared:
        with pytest.raises(GrowBenchError, match=rf"target\.hidden: 36 .* {name} has one epsilon .*; keep 24"):
            by("composable", name, source, spec.resized(hidden=36))


def test_composable_refuses_heads_under_a_norm_over_all_of_them() -> None:
    spec = SPECS["olmo2"]
    with pytest.raises(GrowBenchError, match=r"target\.heads: 12 .* over all heads together; keep 6"):
        by("composable", "olmo2", perturbed(families.load("olmo2"), spec), spec.resized(heads=12))


@pytest.mark.parametrize("name", ["qwen3", "gemma3_text"])
def test_heads_with_norms_of_their_own_keep_their_size(name: str) -> None:
    spec = SPECS[name]
    with pytest.raises(GrowBenchError, match=r"target\.head_size: 6, .* over the 10 coordinates of a head; keep 10"):
        by("weight_selection", name, perturbed(families.load(name), spec), spec.resized(head_size=6))


def test_fused_gate_and_up_are_in_the_stock_order() -> None:
    family, spec = families.load("phi3"), SPECS["phi3"]
    source = perturbed(family, spec)
    target = grown(family, source, spec.resized(ffn=2 * spec.ffn))
    name = "model.layers.0.mlp.gate_up_proj.weight"
    gate, up = source.get_parameter(name).chunk(2)
    assert torch.equal(target.get_parameter(name), torch.cat([gate, gate, up, up]))
    kinds = [component.kind for component in family.roles(source.config)[name].components]
    assert kinds == ["gate", "fc1"]


def test_long_positions_of_phi3_need_heads_that_fill_the_hidden_size() -> None:
    family, spec = families.load("phi3"), SPECS["phi3"].resized(hidden=24, heads=4, kv_heads=2, head_size=6)
    factors = {
        "rope_type": "longrope",
        "rope_theta": 10000.0,
        "short_factor": [1.0, 1.5, 2.0],
        "long_factor": [2.0, 3.0, 4.0],
    }
    source = perturbed(family, spec, rope_parameters=factors, original_max_position_embeddings=7)
    target = grown(family, source, doubled(spec))
    assert target.config.rope_parameters == source.config.rope_parameters
    assert drift("phi3", source, target) <= 1e-10
    with pytest.raises(GrowBenchError, match=r"target\.heads: 4 heads of size 6 over hidden 36.*; use hidden 24"):
        family.config(spec.resized(hidden=36, head_size=6), base=source.config)


def test_queries_are_scaled_for_the_size_of_the_heads_and_a_source_keeps_its_scale() -> None:
    family = families.load("gemma2")
    assert stock("gemma2").query_pre_attn_scalar == SPECS["gemma2"].head_size == 10
    source = stock("gemma2", query_pre_attn_scalar=144)
    assert family.config(doubled(SPECS["gemma2"]), base=source).query_pre_attn_scalar == 144


@pytest.mark.parametrize("name", ["phi3", "smollm3", "starcoder2", "olmo2"])
def test_a_small_vocabulary_has_no_special_tokens_of_the_stock_one(name: str) -> None:
    family, stocks = families.load(name), stock(name)
    assert stocks.pad_token_id is None and stocks.eos_token_id is None
    own = type(stocks)()
    assert family.config(SPECS[name].resized(vocab=own.vocab_size)).eos_token_id == own.eos_token_id


def test_every_refused_architecture_is_a_stock_one_without_a_file_and_its_reason_is_told() -> None:
    known = set(CONFIG_MAPPING_NAMES)
    assert REFUSED.keys() <= known and not REFUSED.keys() & set(families.names())
    for name, words in (
        ("deepseek_v3", "MLA"),
        ("falcon_h1", "states"),
        ("whisper", "encoder and a decoder"),
        ("mixtral", "upcycle and drop_upcycling"),
        ("gemma3", "gemma3_text"),
    ):
        with pytest.raises(GrowBenchError, match=rf"^here: {name} cannot be grown: .*{words}.*; use a model of one of"):
            families.named(name, "here")

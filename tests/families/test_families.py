"""Every discovered family: roles for every parameter, shapes that survive the stock config, exact growth at ratio 2."""

from typing import Any

import pytest
import torch
import transformers
from support.helpers import SETTINGS, SPECS, doubled, inputs, move, one_and_a_half, perturbed
from torch import Tensor, nn

from growbench import families, methods
from growbench.errors import GrowBenchError
from growbench.families import Family, fixed, reads, writes
from growbench.growth.model import grow_model
from growbench.growth.preservation import measure
from growbench.growth.transfer import join, split
from growbench.spec import ModelSpec

FPI = methods.load("bert2bert_fpi")
BOUND = {torch.float32: 1e-5, torch.float64: 1e-10}
TIES = [(name, tied) for name in families.names() for tied in ((True, False) if name != "vit" else (False,))]
OTHER_HEADS = {
    "bert": (
        *("Model", "ForPreTraining", "LMHeadModel", "ForNextSentencePrediction", "ForSequenceClassification"),
        *("ForMultipleChoice", "ForTokenClassification", "ForQuestionAnswering"),
    ),
    "roberta": (
        *("Model", "ForCausalLM", "ForSequenceClassification", "ForMultipleChoice", "ForTokenClassification"),
        "ForQuestionAnswering",
    ),
    "gpt2": ("Model", "ForSequenceClassification", "ForTokenClassification", "ForQuestionAnswering"),
    "llama": ("Model", "ForSequenceClassification", "ForTokenClassification", "ForQuestionAnswering"),
    "gpt_neox": ("Model", "ForSequenceClassification", "ForTokenClassification", "ForQuestionAnswering"),
    "opt": ("Model", "ForSequenceClassification", "ForQuestionAnswering"),
    "vit": ("Model", "ForMaskedImageModeling"),
}
HEADS = [(name, head) for name, heads in OTHER_HEADS.items() for head in heads]
VARIANTS = {
    "opt post-LN": ("opt", {}, {"do_layer_norm_before": False}),
    "opt post-LN untied": ("opt", {}, {"do_layer_norm_before": False, "tie_word_embeddings": False}),
    "opt projected": ("opt", {}, {"word_embed_proj_dim": 16}),
    "opt projected post-LN": ("opt", {}, {"word_embed_proj_dim": 16, "do_layer_norm_before": False}),
    "opt projected untied": ("opt", {}, {"word_embed_proj_dim": 16, "tie_word_embeddings": False}),
    "opt projected without final norm": ("opt", {}, {"word_embed_proj_dim": 16, "_remove_final_layer_norm": True}),
    "opt untied without final norm": ("opt", {}, {"_remove_final_layer_norm": True, "tie_word_embeddings": False}),
    "opt without gains": ("opt", {}, {"layer_norm_elementwise_affine": False, "tie_word_embeddings": False}),
    "opt without biases": ("opt", {}, {"enable_bias": False}),
    "llama no groups": ("llama", {"kv_heads": 6, "head_size": 4}, {"tie_word_embeddings": True}),
    "llama one group": ("llama", {"kv_heads": 1}, {}),
    "llama wide heads": ("llama", {"heads": 3, "kv_heads": 3, "head_size": 14}, {}),
    "llama biases": ("llama", {}, {"attention_bias": True, "mlp_bias": True, "hidden_act": "gelu"}),
    "gpt_neox in sequence": ("gpt_neox", {}, {"use_parallel_residual": False}),
    "gpt_neox bare attention": ("gpt_neox", {}, {"attention_bias": False, "hidden_act": "relu"}),
    "gpt2 scaled by layer": ("gpt2", {}, {"scale_attn_by_inverse_layer_idx": True}),
    "roberta padding 0": ("roberta", {}, {"pad_token_id": 0}),
    "vit without biases": ("vit", {}, {"qkv_bias": False}),
    "bert relu": ("bert", {}, {"hidden_act": "relu"}),
}


def grown(family: Family, model: nn.Module, target: ModelSpec) -> nn.Module:
    return grow_model(model, family, target, FPI, FPI.check_options({})).eval()


def drift(family: Family, source: nn.Module, target: nn.Module) -> float:
    return measure(family, source, target, inputs(family, source.config)).relative_delta


def stock(name: str, **settings: Any) -> Any:
    return families.load(name).config(SPECS[name], **{**SETTINGS.get(name, {}), **settings})


@pytest.mark.parametrize("name", families.names())
def test_the_spec_survives_the_stock_config(name: str) -> None:
    family = families.load(name)
    config = stock(name)
    assert family.spec(config) == SPECS[name]
    assert family.spec(family.config(doubled(SPECS[name]), base=config)) == doubled(SPECS[name])
    assert config.model_type == family.model_type == family.name == name
    assert families.of(config) is family


def test_an_unknown_stock_config_is_refused_in_one_line() -> None:
    with pytest.raises(GrowBenchError, match=r"'t5' is not a known family; .*gpt_neox") as caught:
        families.of(transformers.T5Config())
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", families.names())
def test_what_is_not_a_size_is_kept(name: str) -> None:
    family = families.load(name)
    base = stock(name, num_labels=7, initializer_range=0.05, **family.dropout(0.25))
    again = family.config(doubled(SPECS[name]), base=base)
    assert again.num_labels == 7 and family.init_std(again) == 0.05
    assert all(getattr(again, key) == 0.25 for key in family.dropouts)
    assert getattr(again, "rope_parameters", None) == getattr(base, "rope_parameters", None)


@pytest.mark.parametrize("name", families.names())
def test_named_keys_are_the_stock_config_s(name: str) -> None:
    family, keys = families.load(name), vars(getattr(transformers, f"{families.load(name).stock}Config")())
    assert set(family.dropouts) <= keys.keys()
    assert family.norm_eps in {None, *keys}
    assert set(family.sizes.values()) <= keys.keys()
    assert family.traits(stock(name)).rotary == (name in ("llama", "gpt_neox"))


@pytest.mark.parametrize(("name", "tied"), TIES)
def test_every_parameter_has_its_role_and_its_size(name: str, tied: bool) -> None:
    family, config = families.load(name), stock(name, tie_word_embeddings=tied)
    roles = family.roles(config)
    model = family.build(config, seed=None)
    assert list(roles) == [n for n, _ in model.named_parameters()]
    for key, parameter in model.named_parameters():
        assert all(len(component.axes) == parameter.dim() for component in roles[key].components), key
    sizes = {"residual": SPECS[name].hidden, "ffn": SPECS[name].ffn}
    for key, parameter in model.named_parameters():
        for length, axis in zip(parameter.shape, roles[key].components[0].axes, strict=True):
            assert sizes.get(axis.space, length) == length, key


@pytest.mark.parametrize("name", families.names())
def test_every_layer_has_the_modules_that_the_engine_looks_for(name: str) -> None:
    family, config = families.load(name), stock(name)
    for layer in range(SPECS[name].layers):
        kinds = [p.kind for r in family.roles(config).values() if r.layer == layer for p in r.components]
        assert {"q", "k", "v", "o", "fc1", "fc2"} <= set(kinds)
        assert ("norm_out" in kinds) == (not family.pre_norm(config))
        assert ("gate" in kinds) == (family.ffn_matrices == 3)


@pytest.mark.parametrize(("name", "head"), HEADS)
def test_other_stock_heads_grow_exactly(name: str, head: str) -> None:
    family = families.load(name)
    config = stock(name, architectures=[family.stock + head], is_decoder="LM" in head, **family.dropout(0.0))
    model_class = family.auto_class(config)
    assert model_class.__name__ == family.stock + head
    source = move(family.build(config, model_class=model_class), 5).double().eval()
    target = grown(family, source, doubled(SPECS[name]))
    before, after = (outputs(model, inputs(family, config, batch=1)) for model in (source, target))
    assert before.keys() == after.keys() and before
    for key, value in before.items():
        wide = after[key][..., : value.shape[-1]]
        assert (wide - value).abs().max() <= 1e-10 * value.abs().max(), key


@torch.no_grad()
def outputs(model: Any, given: Tensor) -> dict[str, Tensor]:
    multiple = given[None] if "MultipleChoice" in type(model).__name__ else given
    return {k: v for k, v in model(**{model.main_input_name: multiple}).items() if isinstance(v, Tensor)}


def test_a_head_that_nobody_described_is_refused() -> None:
    family = families.load("gpt2")
    with pytest.raises(GrowBenchError, match=r"multiple_choice_head.*has no role"):
        family.roles(stock("gpt2"), transformers.GPT2DoubleHeadsModel)
    assert family.auto_class(stock("gpt2")) is family.auto_class(stock("gpt2", architectures=["NoSuchModel"]))


@pytest.mark.parametrize("dtype", BOUND)
@pytest.mark.parametrize(("name", "tied"), TIES)
def test_fpi_is_exact_at_ratio_two(name: str, tied: bool, dtype: torch.dtype) -> None:
    family = families.load(name)
    source = perturbed(family, SPECS[name], dtype=dtype, tie_word_embeddings=tied)
    target = grown(family, source, doubled(SPECS[name]))
    assert family.tied(target.config) == tied
    assert drift(family, source, target) <= BOUND[dtype]


@pytest.mark.parametrize("name", families.names())
def test_fpi_drifts_at_one_and_a_half(name: str) -> None:
    family = families.load(name)
    small, big = one_and_a_half(SPECS[name])
    source = perturbed(family, small)
    assert 1e-4 < drift(family, source, grown(family, source, big)) < 1


@pytest.mark.parametrize("case", VARIANTS)
def test_stock_variants_grow_exactly(case: str) -> None:
    name, sizes, settings = VARIANTS[case]
    family, spec = families.load(name), SPECS[name].resized(**sizes)
    source = perturbed(family, spec, **settings)
    target = grown(family, source, doubled(spec))
    assert family.spec(target.config) == doubled(spec)
    assert drift(family, source, target) <= 1e-10


@pytest.mark.parametrize("kv_heads", [1, 2, 4])
def test_key_value_heads_may_stay_or_grow_less_than_heads(kv_heads: int) -> None:
    family = families.load("llama")
    spec = SPECS["llama"].resized(kv_heads=min(kv_heads, 2))
    source = perturbed(family, spec)
    target = grown(family, source, spec.resized(hidden=48, heads=12, kv_heads=kv_heads, ffn=88))
    assert drift(family, source, target) <= 1e-10


@pytest.mark.parametrize("settings", [{"_remove_final_layer_norm": True}, {"layer_norm_elementwise_affine": False}])
def test_a_tied_head_without_a_gain_before_it_is_refused(settings: dict[str, Any]) -> None:
    family = families.load("opt")
    source = perturbed(family, SPECS["opt"], **settings)
    assert family.tied(source.config) and family.output_norm(source.config) is None
    with pytest.raises(GrowBenchError, match="tied head"):
        grown(family, source, doubled(SPECS["opt"]))


def test_only_the_norm_that_feeds_the_head_is_corrected() -> None:
    family = families.load("opt")
    for settings, corrected in (
        ({}, "model.decoder.final_layer_norm"),
        ({"do_layer_norm_before": False}, "model.decoder.layers.1.final_layer_norm"),
    ):
        source = perturbed(family, SPECS["opt"], **settings)
        target = grown(family, source, doubled(SPECS["opt"]))
        for key, gain in source.named_parameters():
            if "norm" in key:
                ratio = target.get_parameter(key)[: len(gain)] / gain
                assert torch.allclose(ratio, torch.full_like(ratio, 0.5 if key.startswith(corrected) else 1.0)), key


@pytest.mark.parametrize(("name", "tied"), TIES)
def test_a_grown_directory_reloads_with_the_same_logits(name: str, tied: bool, tmp_path) -> None:
    family = families.load(name)
    source = perturbed(family, SPECS[name], dtype=torch.float32, tie_word_embeddings=tied)
    target = grown(family, source, doubled(SPECS[name]))
    target.save_pretrained(tmp_path)
    config = transformers.AutoConfig.from_pretrained(tmp_path)
    again = families.of(config).auto_class(config).from_pretrained(tmp_path)
    assert drift(family, target, again) == 0
    assert family.spec(config) == doubled(SPECS[name])


@pytest.mark.parametrize("name", families.names())
def test_split_and_join_are_inverse(name: str) -> None:
    family, config = families.load(name), stock(name)
    model = move(family.build(config), 2)
    fused = {key: role for key, role in family.roles(config).items() if len(role.components) > 1}
    assert bool(fused) == (name in ("gpt2", "gpt_neox"))
    for key, role in fused.items():
        components = split(model.get_parameter(key), role, SPECS[name])
        assert [component.shape[role.fused] for component in components] == [SPECS[name].hidden] * 3
        assert torch.equal(join(components, role, SPECS[name]), model.get_parameter(key))


def test_neox_heads_are_interleaved_and_gpt2_parts_are_not() -> None:
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


def test_tables_outside_the_residual_are_left_as_they_are() -> None:
    family = families.load("opt")
    source = perturbed(family, SPECS["opt"], word_embed_proj_dim=16)
    target = grown(family, source, doubled(SPECS["opt"]))
    assert target.config.word_embed_proj_dim == 16 and not family.tied(source.config)
    name = "model.decoder.embed_tokens.weight"
    assert family.roles(source.config)[name].components[0].axes == (fixed("vocab"), fixed("projection"))
    assert torch.equal(target.get_parameter(name), source.get_parameter(name))


@pytest.mark.parametrize("name", families.names())
def test_the_longest_input_runs_and_holds_no_padding(name: str) -> None:
    family, config = families.load(name), stock(name)
    given = family.inputs(config, batch=2, length=10**6, seed=1)
    assert torch.equal(given, family.inputs(config, batch=2, length=10**6, seed=1))
    model = family.build(config).eval()
    assert family.head(model, family.encode(model, given)).isfinite().all()
    if name != "vit":
        assert given.shape == (2, SPECS[name].max_length)
        assert not (given == (config.pad_token_id if config.pad_token_id is not None else -1)).any()


def test_a_classification_token_s_logits_are_the_stock_ones() -> None:
    family = families.load("vit")
    model = perturbed(family, SPECS["vit"], dtype=torch.float32)
    given = inputs(family, model.config)
    ours = family.head(model, family.encode(model, given))
    assert torch.equal(ours[:, 0], model(given).logits)


@pytest.mark.parametrize("pooled", [24, 16])
def test_the_pooler_s_own_size_is_kept_and_the_hidden_one_follows(pooled: int) -> None:
    family = families.load("vit")
    base = stock("vit", pooler_output_size=pooled)
    assert family.config(doubled(SPECS["vit"]), base=base).pooler_output_size == (48 if pooled == 24 else 16)
    source = move(family.build(base, model_class=transformers.ViTModel), 1).double().eval()
    target = grown(family, source, doubled(SPECS["vit"]))
    given = inputs(family, base)
    before, after = (model(given).pooler_output[:, :16] for model in (source, target))
    assert (before - after).abs().max() <= 1e-10


@pytest.mark.parametrize(
    ("name", "sizes", "words"),
    [
        ("bert", {"head_size": 10}, "model.head_size"),
        ("gpt2", {"kv_heads": 1}, "model.kv_heads"),
        ("llama", {"heads": 5, "kv_heads": 5, "head_size": 4}, "model.heads"),
        ("vit", {"vocab": 50}, "model.vocab"),
        ("vit", {"max_length": 9}, "model.max_length"),
    ],
)
def test_shapes_that_the_stock_model_cannot_have_are_refused(name: str, sizes: dict[str, int], words: str) -> None:
    with pytest.raises(GrowBenchError, match=words) as caught:
        families.load(name).config(ModelSpec(**{**SPECS[name].to_dict(), **sizes}))
    assert "\n" not in str(caught.value)


def test_attention_scaled_by_a_layers_number_cannot_grow_deeper() -> None:
    model = perturbed(families.load("gpt2"), SPECS["gpt2"], scale_attn_by_inverse_layer_idx=True)
    with pytest.raises(GrowBenchError, match=r"target\.layers: 6 .* keep 3"):
        grown(families.load("gpt2"), model, SPECS["gpt2"].resized(layers=6))

"""Every family, every stock head and variant: exact growth at ratio 2, and what cannot be exact is refused."""

from typing import Any

import pytest
import torch
import transformers
from support.helpers import (
    SPECS,
    TIES,
    doubled,
    drift,
    grown,
    inputs,
    move,
    one_and_a_half,
    perturbed,
    stock,
    stock_heads,
)
from support.matrix import GROWING, cases
from torch import Tensor

from growbench import families, methods
from growbench.errors import GrowBenchError
from growbench.growth.masking import Masks
from growbench.growth.model import grow_model, operator_of

BOUND = {torch.float32: 1e-5, torch.float64: 1e-10}


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
    "distilbert sines": ("distilbert", {}, {"sinusoidal_pos_embds": True, "activation": "relu"}),
    "electra projected": ("electra", {}, {"embedding_size": 10}),
    "electra projected untied": ("electra", {}, {"embedding_size": 50, "tie_word_embeddings": False}),
    "modernbert biases": (
        "modernbert",
        {"layers": 4},
        {"attention_bias": True, "mlp_bias": True, "norm_bias": True, "classifier_bias": True},
    ),
    "modernbert without decoder bias": ("modernbert", {}, {"decoder_bias": False, "tie_word_embeddings": False}),
    "deit without biases": ("deit", {}, {"qkv_bias": False}),
    "vit without biases": ("vit", {}, {"qkv_bias": False}),
    "bert relu": ("bert", {}, {"hidden_act": "relu"}),
    "qwen2 heads that do not divide": ("qwen2", {"heads": 5, "kv_heads": 5, "head_size": 6}, {}),
    "qwen2 sliding": (
        "qwen2",
        {"layers": 3},
        {"use_sliding_window": True, "sliding_window": 4, "max_window_layers": 1},
    ),
    "qwen3 sliding with biases": (
        "qwen3",
        {"layers": 3},
        {"use_sliding_window": True, "sliding_window": 4, "max_window_layers": 1, "attention_bias": True},
    ),
    "phi3 half of a head rotated": (
        "phi3",
        {"head_size": 12},
        {"rope_parameters": {"rope_type": "default", "rope_theta": 10000.0, "partial_rotary_factor": 0.5}},
    ),
    "smollm3 sliding with biases": (
        "smollm3",
        {"layers": 4},
        {"use_sliding_window": True, "sliding_window": 4, "attention_bias": True, "mlp_bias": True},
    ),
    "starcoder2 without biases": ("starcoder2", {}, {"use_bias": False, "sliding_window": None}),
    "gemma one group, wide heads": ("gemma", {"kv_heads": 1, "head_size": 14}, {"attention_bias": True}),
    "gemma in both directions": ("gemma", {}, {"use_bidirectional_attention": True}),
    "gemma2 without caps": ("gemma2", {}, {"attn_logit_softcapping": None, "final_logit_softcapping": None}),
    "gemma2 sharp caps": ("gemma2", {}, {"attn_logit_softcapping": 0.5, "final_logit_softcapping": 2.0}),
    "gemma2 other scale of queries": ("gemma2", {}, {"query_pre_attn_scalar": 144}),
    "gemma3_text capped, in both directions": (
        "gemma3_text",
        {},
        {"use_bidirectional_attention": True, "final_logit_softcapping": 3.0},
    ),
    "olmo2 with biases": ("olmo2", {}, {"attention_bias": True}),
    "olmo2 no groups": ("olmo2", {"kv_heads": 6, "head_size": 4}, {}),
}
UNDESCRIBED = [("gpt2", "DoubleHeadsModel")]
HEADS = [(name, head) for name in families.names() for head in stock_heads(name) if (name, head) not in UNDESCRIBED]


@torch.no_grad()
def outputs(model: Any, given: Tensor) -> dict[str, Tensor]:
    multiple = given[None] if "MultipleChoice" in type(model).__name__ else given
    return {k: v for k, v in model(**{model.main_input_name: multiple}).items() if isinstance(v, Tensor)}


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


@pytest.mark.parametrize("dtype", BOUND)
@pytest.mark.parametrize(("name", "tied"), TIES)
def test_fpi_is_exact_at_ratio_two(name: str, tied: bool, dtype: torch.dtype) -> None:
    family = families.load(name)
    source = perturbed(family, SPECS[name], dtype=dtype, tie_word_embeddings=tied)
    target = grown(family, source, doubled(SPECS[name]))
    assert family.tied(target.config) == tied
    assert drift(family.name, source, target) <= BOUND[dtype]


@pytest.mark.parametrize("name", families.names())
def test_fpi_drifts_at_one_and_a_half(name: str) -> None:
    family = families.load(name)
    small, big = one_and_a_half(SPECS[name])
    source = perturbed(family, small)
    assert 1e-4 < drift(family.name, source, grown(family, source, big)) < 1


@pytest.mark.parametrize("case", VARIANTS)
def test_stock_variants_grow_exactly(case: str) -> None:
    name, sizes, settings = VARIANTS[case]
    family, spec = families.load(name), SPECS[name].resized(**sizes)
    source = perturbed(family, spec, **settings)
    target = grown(family, source, doubled(spec))
    assert family.spec(target.config) == doubled(spec)
    assert drift(family.name, source, target) <= 1e-10


@pytest.mark.parametrize("kv_heads", [1, 2, 4])
def test_key_value_heads_may_stay_or_grow_less_than_heads(kv_heads: int) -> None:
    family = families.load("llama")
    spec = SPECS["llama"].resized(kv_heads=min(kv_heads, 2))
    source = perturbed(family, spec)
    target = grown(family, source, spec.resized(hidden=48, heads=12, kv_heads=kv_heads, ffn=88))
    assert drift(family.name, source, target) <= 1e-10


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
    assert drift(family.name, target, again) == 0
    assert family.spec(config) == doubled(SPECS[name])


def test_lists_with_one_entry_per_layer_follow_the_depth_map() -> None:
    family, lemon = families.load("qwen2"), methods.load("lemon")
    spec = SPECS["qwen2"].resized(layers=3)
    source = perturbed(family, spec, use_sliding_window=True, sliding_window=4, max_window_layers=1)
    full, sliding = "full_attention", "sliding_attention"
    assert source.config.layer_types == [full, sliding, sliding]
    target = grow_model(source, family, spec.resized(layers=5), lemon, lemon.check_options({"where": "first"})).eval()
    assert target.config.layer_types == [full, full, sliding, sliding, sliding]
    assert drift("qwen2", source, target) <= 1e-10
    assert family.config(spec.resized(layers=2), base=source.config).layer_types == [full, sliding]


@pytest.mark.parametrize("layers", [1, 4])
def test_a_copy_of_a_layer_without_a_norm_takes_the_embeddings_norm(layers: int) -> None:
    family, lemon = families.load("modernbert"), methods.load("lemon")
    spec = SPECS["modernbert"].resized(layers=layers)
    source = perturbed(family, spec, norm_bias=True)
    options = lemon.check_options({"where": "first"})
    target = grow_model(source, family, doubled(spec).resized(layers=2 * layers), lemon, options).eval()
    assert target.config.layer_types == [kind for kind in source.config.layer_types for _ in range(2)]
    assert drift("modernbert", source, target) <= 1e-10
    assert not hasattr(target.model.layers[0].attn_norm, "weight")
    for end in ("weight", "bias"):
        copied, norms = (
            m.get_parameter(f"model.{n}.{end}")
            for m, n in ((target, "layers.1.attn_norm"), (source, "embeddings.norm"))
        )
        assert torch.equal(copied, norms.repeat(2))


@pytest.mark.parametrize("method", ["lemon", "composable"])
def test_a_stream_that_starts_behind_a_norm_has_no_exact_width_at_a_non_integer_ratio(method: str) -> None:
    family, chosen = families.load("modernbert"), methods.load(method)
    small, big = one_and_a_half(SPECS["modernbert"])
    with pytest.raises(GrowBenchError, match=r"target\.hidden: 54 is not .* starts behind a norm; use 36") as caught:
        chosen.check(small, big, family.traits(), chosen.check_options({}))
    assert "\n" not in str(caught.value)


def test_the_two_parts_of_electra_keep_embeddings_of_their_own_size() -> None:
    family, spec = families.load("electra"), SPECS["electra"]
    config = stock("electra", embedding_size=10, architectures=["ElectraForPreTraining"], **family.dropout(0.0))
    for name in ("ElectraForPreTraining", "ElectraForMaskedLM"):
        source = move(family.build(config, model_class=getattr(transformers, name)), 3).double().eval()
        target = grown(family, source, doubled(spec))
        before, after = (outputs(model, inputs(family, config))["logits"] for model in (source, target))
        assert (before - after).abs().max() <= 1e-10 * before.abs().max()
        table = "electra.embeddings.word_embeddings.weight"
        assert torch.equal(target.get_parameter(table), source.get_parameter(table))


@pytest.mark.parametrize("method", GROWING)
@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("electra", {"embedding_size": 10}),
        ("modernbert", {"norm_bias": True, "attention_bias": True, "mlp_bias": True, "classifier_bias": True}),
    ],
)
def test_every_method_keeps_its_claim_on_a_variant(name: str, settings: dict[str, Any], method: str) -> None:
    family, chosen = families.load(name), methods.load(method)
    options = chosen.check_options({"steps": 0} if chosen.needs_data else {})
    for case, (small, big) in cases(name).items():
        source = perturbed(family, small, **settings)
        try:
            chosen.check(small, big, family.traits(source.config), options)
        except GrowBenchError:
            continue
        target = grow_model(source, family, big, chosen, options).eval()
        if chosen.masked:
            operator, config = operator_of(family, source.config, big, chosen, options, 0)
            Masks(operator, target, family.roles(config))
        if chosen.masked or chosen.exact(small, big, family.traits(source.config), options):
            assert drift(name, source, target) <= 1e-10, case

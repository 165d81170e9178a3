"""Faults found in public code for these methods, each with a test that would have caught it."""

import numpy as np
import pytest
import torch
from support.helpers import SPECS, drift, inputs, perturbed
from support.matrix import cases, grow, source_model

from growbench import families, methods
from growbench.errors import GrowBenchError
from growbench.growth.depth import interpolated
from growbench.growth.model import grow_model, operator_of
from growbench.growth.transfer import split
from growbench.study import config
from growbench.train.optimizer import adamw


def grown(method: str, family: str, source: torch.nn.Module, options=None, **sizes: int) -> torch.nn.Module:
    chosen, made = families.load(family), methods.load(method)
    target = chosen.spec(source.config).resized(**sizes)
    return grow_model(source, chosen, target, made, made.check_options(options or {})).eval()


@pytest.mark.parametrize(
    "settings", [{"word_embed_proj_dim": 16, "do_layer_norm_before": False}, {"word_embed_proj_dim": 36}]
)
def test_cloned_opt_of_every_shape_has_the_sources_logits_and_not_half_of_them(settings) -> None:
    """HyperCloning: half the logits for the 350m shape, a crash for every other one."""
    source = perturbed(families.load("opt"), SPECS["opt"], **settings)
    target = grown("hypercloning", "opt", source, hidden=72, heads=6, ffn=116)
    assert drift("opt", source, target) <= 1e-10


def test_heads_made_wider_scale_their_queries() -> None:
    """HyperCloning: accepted for OPT, 9 % of the argmaxes change."""
    source = source_model("opt", SPECS["opt"])
    target = grown("hypercloning", "opt", source, {"heads": "widen"}, hidden=72, heads=3, ffn=58)
    assert drift("opt", source, target) <= 1e-10
    with pytest.raises(GrowBenchError, match="rotary"):
        grown(
            "hypercloning",
            "gpt_neox",
            source_model("gpt_neox", SPECS["gpt_neox"]),
            {"heads": "widen"},
            hidden=96,
            heads=3,
        )


def test_identity_layers_are_not_copies() -> None:
    """Staged training: the identity flag was dead, so that identity and copy gave the same weights."""
    case = cases("gpt2")["depth x 2"]
    method = methods.load("staged")
    for depth, exact in (("identity", True), ("copy", False)):
        measured = drift("gpt2", *grow("staged", "gpt2", case, method.check_options({"depth": depth})))
        assert (measured <= 1e-10) == exact


def test_the_identity_baseline_adds_random_layers_and_no_copies() -> None:
    case = cases("bert")["depth x 2"]
    source, target = grow("stackbert", "bert", case, methods.load("stackbert").check_options({"added": "identity"}))
    old, new = source.bert.encoder.layer[1], target.bert.encoder.layer[3]
    assert not torch.allclose(new.intermediate.dense.weight, old.intermediate.dense.weight, atol=0.01)
    assert 0.01 < float(new.attention.self.query.weight.detach().std()) < 0.03
    assert not new.output.dense.weight.any() and not new.intermediate.dense.bias.any()
    assert torch.equal(target.bert.encoder.layer[1].output.dense.weight, old.output.dense.weight)


def test_the_mlm_heads_bias_survives_every_widening() -> None:
    """MSG: the output bias restarted at zero when the hidden size grew."""
    for method in ("msg", "bert2bert_fpi", "zero_pad", "direct_copy", "net2net", "staged", "hypercloning", "lemon"):
        source, target = grow(method, "bert", cases("bert")["width x 2"])
        assert torch.equal(target.cls.predictions.bias, source.cls.predictions.bias), method


@pytest.mark.parametrize(
    "sizes", [{"hidden": 72, "heads": 6}, {"layers": 5}, {"layers": 3, "hidden": 72, "heads": 6, "ffn": 116}]
)
def test_lemon_is_exact_under_post_norm_at_equal_and_at_any_depth(sizes: dict[str, int]) -> None:
    """LEMON: wrong at equal depth, and at 3 to 5 layers once biases and gains were moved."""
    source = source_model("bert", SPECS["bert"].resized(layers=3))
    assert drift("bert", source, grown("lemon", "bert", source, **sizes)) <= 1e-10


def test_lemon_at_a_non_integer_ratio_is_exact_under_pre_norm_and_refused_under_post_norm() -> None:
    source = source_model("gpt2", SPECS["gpt2"])
    assert drift("gpt2", source, grown("lemon", "gpt2", source, hidden=60, heads=5, ffn=99)) <= 1e-10
    with pytest.raises(GrowBenchError, match="not a multiple"):
        grown("lemon", "bert", source_model("bert", SPECS["bert"]), hidden=60, heads=5)


def test_one_residual_map_serves_the_whole_network() -> None:
    """Third-party bert2BERT: a fresh random map for every block."""
    source, target = grow(
        "bert2bert_fpi", "bert", cases("bert")["width x 2"], {"map": "random", "depth": "stack", "lr": None}
    )
    table = source.bert.embeddings.word_embeddings.weight
    wide = target.bert.embeddings.word_embeddings.weight
    index = [int((table == wide[:, [j]]).all(0).nonzero()[0]) for j in range(wide.shape[1])]
    assert index[36:] != list(range(36))
    for a, b in zip(source.bert.encoder.layer, target.bert.encoder.layer, strict=True):
        assert torch.equal(b.output.LayerNorm.weight, a.output.LayerNorm.weight[index])
        assert torch.equal(b.attention.output.dense.bias, a.attention.output.dense.bias[index])


def test_fused_query_key_value_is_split_by_head_before_it_is_copied() -> None:
    """G_stack's baselines: an interleaved QKV matrix was indexed as if it were three stacked ones."""
    chosen = families.load("gpt_neox")
    source, target = grow("bert2bert_fpi", "gpt_neox", cases("gpt_neox")["width x 2"])
    name = "gpt_neox.layers.0.attention.query_key_value.weight"
    small, big = chosen.spec(source.config), chosen.spec(target.config)
    old = split(source.get_parameter(name), chosen.roles(source.config)[name], small)
    new = split(target.get_parameter(name), chosen.roles(target.config)[name], big)
    for a, b in zip(old, new, strict=True):
        assert torch.allclose(b, torch.cat([torch.cat([a, a], 1), torch.cat([a, a], 1)]) / 2)


@pytest.mark.parametrize("method", ["stackbert", "stack", "lemon", "msg"])
def test_every_parameter_of_a_grown_model_is_in_the_optimizer(method: str) -> None:
    """G_stack, MSLT: blocks added after the first growth were never given to the optimizer."""
    _, target = grow(method, "bert", cases("bert")["depth x 2"])
    made = adamw(target, lr=1e-3, betas=(0.9, 0.999), weight_decay=0.01)
    held = {id(p) for group in made.param_groups for p in group["params"]}
    assert held == {id(p) for p in target.parameters()}


def test_zero_padding_corrects_the_gain_of_rms_norm_and_its_epsilon() -> None:
    """G_stack's zero growth: RMSNorm's output grew by sqrt(D_t / D_s)."""
    source, target = grow("zero_pad", "llama", cases("llama")["width x 2"])
    ratio = source.config.hidden_size / target.config.hidden_size
    size = source.config.hidden_size
    assert torch.allclose(target.model.norm.weight[:size], source.model.norm.weight * ratio**0.5)
    assert target.config.rms_norm_eps == pytest.approx(source.config.rms_norm_eps * ratio)
    assert drift("llama", source, target) <= 1e-10


def test_zeros_are_never_on_both_sides_of_a_product() -> None:
    """With zeros on both sides, new entries never get a gradient."""
    for method, family in (("zero_pad", "llama"), ("composable", "llama"), ("lemon", "gpt2"), ("zero_pad", "gpt2")):
        case = next(c for n, c in cases(family).items() if n == ("width x 1.5" if family == "llama" else "ffn odd"))
        source, target = grow(method, family, case)
        chosen = families.load(family)
        optimizer = torch.optim.SGD(target.parameters(), lr=1e-2)
        start = {n: p.detach().clone() for n, p in target.named_parameters()}
        for _ in range(3):
            optimizer.zero_grad()
            logits = chosen.head(target, chosen.encode(target, inputs(chosen, source.config))).flatten(0, 1)
            torch.nn.functional.cross_entropy(logits, torch.arange(len(logits)) % logits.shape[-1]).backward()
            optimizer.step()
        for name, parameter in target.named_parameters():
            if parameter.dim() == 2 and "embed" not in name and "wte" not in name and "wpe" not in name:
                assert bool((parameter != start[name]).all(1).any()), f"{method} {family} {name}"


@pytest.mark.parametrize(("small", "big"), [(4, 8), (6, 12), (12, 24), (22, 28)])
def test_a_depth_map_stays_inside_the_source(small: int, big: int) -> None:
    """ModernBERT's tiling: banker's rounding runs past the last layer at an exact doubling."""
    order = [layer.sources[0][0] for layer in interpolated(small, big)]
    assert max(order) == small - 1 and np.bincount(order, minlength=small).min() >= big // small


def test_a_warm_up_that_outlasts_the_run_is_refused() -> None:
    """LiGO's own command: 10,000 warm-up steps in a run of 100."""
    with pytest.raises(GrowBenchError, match=r"optimizer\.warmup"):
        config.gather(["config/demo.yaml"], ["optimizer.warmup=10000"])


def test_round_trip_by_selection() -> None:
    """select(grow(W)) = W: rescaled selection of the first coordinates undoes copying in turn."""
    for family in families.names():
        spec = SPECS[family]
        for method in ("bert2bert_fpi", "hypercloning"):
            source, target = grow(method, family, cases(family)["width x 2"])
            back = grow_model(
                target, families.load(family), families.load(family).spec(source.config),
                methods.load("weight_selection"), methods.load("weight_selection").check_options({"select": "first", "rescale": True}),
            )  # fmt: skip
            for (name, a), b in zip(source.named_parameters(), back.parameters(), strict=True):
                assert torch.allclose(a, b, rtol=1e-12, atol=1e-14), f"{family} {method} {name}"
        assert spec


def test_layer_norm_is_exact_only_with_a_balanced_map() -> None:
    """FPI's random map copies unevenly, so that it is inexact at any ratio."""
    even, random = ({"map": m, "depth": "stack", "lr": None} for m in ("balanced", "random"))
    case = cases("bert")["width x 2"]
    assert drift("bert", *grow("bert2bert_fpi", "bert", case, even)) <= 1e-10
    assert drift("bert", *grow("bert2bert_fpi", "bert", case, random)) > 1e-3


def test_growth_starts_in_the_order_that_the_papers_report() -> None:
    """AKI drifts far more than FPI at ratio 1.5; interpolation keeps the order of layers, stacking does not."""
    case = cases("bert")["width x 1.5"]
    fpi, aki = (drift("bert", *grow(m, "bert", case)) for m in ("bert2bert_fpi", "bert2bert_aki"))
    assert 1e-3 < fpi < aki
    source = source_model("gpt2", SPECS["gpt2"])
    operator, _ = operator_of(
        families.load("gpt2"), source.config, SPECS["gpt2"].resized(layers=6), methods.load("interpolate"),
        methods.load("interpolate").check_options({}), 0,
    )  # fmt: skip
    assert [layer.sources[0][0] for layer in operator.depth] == [0, 0, 1, 1, 2, 2]


@pytest.mark.parametrize(("method", "options"), [("staged", {}), ("hypercloning", {"variant": "diagonal"})])
def test_block_diagonal_copies_need_partners_in_every_group(method: str, options) -> None:
    """Under grouped queries a non-integer ratio of heads per group leaves copies whose columns nothing writes."""
    source = source_model("llama", SPECS["llama"].resized(heads=6, kv_heads=2))
    with pytest.raises(GrowBenchError, match=r"4 per group, not a multiple of the source's 3.*use 18"):
        grown(method, "llama", source, options, hidden=48, heads=24, kv_heads=6)
    assert drift("llama", source, grown(method, "llama", source, options, hidden=72, heads=18, kv_heads=6)) <= 1e-10


def test_wider_heads_without_scaled_products_are_refused() -> None:
    source = perturbed(families.load("gpt2"), SPECS["gpt2"], scale_attn_weights=False)
    with pytest.raises(GrowBenchError, match="scale_attn_weights"):
        grown("hypercloning", "gpt2", source, {"heads": "widen"}, hidden=72, heads=3)


@pytest.mark.parametrize("times", [2, 3])
@pytest.mark.parametrize(
    ("method", "options", "share"),
    [
        ("hypercloning", {"variant": "noisy_symmetric"}, 10**-0.5),
        ("net2net", {"noise": 0.05}, 0.05),
        ("lemon", {"fanout": "equal", "noise": 0.1}, 0.1),
    ],
)
def test_noise_that_cancels_over_the_copies_is_as_strong_as_documented(
    method: str, options, share: float, times: int
) -> None:
    """Noise minus its mean over n copies has lost 1 / n of its energy: 3 decibels for two copies."""
    spec = SPECS["gpt2"]
    source = source_model("gpt2", spec)
    sizes = {"hidden": times * spec.hidden, "heads": times * spec.heads, "ffn": times * spec.ffn}
    silent = {"variant": "symmetric"} if "variant" in options else {**options, "noise": 0.0}
    loud, quiet = (grown(method, "gpt2", source, given, **sizes).state_dict() for given in (options, silent))
    for name in (
        "transformer.h.0.mlp.c_fc.weight",
        "transformer.h.0.mlp.c_proj.weight",
        "transformer.h.1.attn.c_attn.weight",
    ):
        added = loud[name] - quiet[name]
        assert float(added.std() / quiet[name].std()) == pytest.approx(share, rel=0.03), name

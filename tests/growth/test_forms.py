"""The forms that authors' code has: how copies share a weight, where layers are added, what is silent, what masks hide."""

import pytest
import torch
from support.helpers import PRICES, SOURCE, SPECS, doubled, inputs, perturbed
from support.matrix import cases, grow, mask, source_model

from growbench import families, methods
from growbench.errors import GrowBenchError
from growbench.growth import depth
from growbench.growth.masking import Masks
from growbench.growth.model import grow_model, operator_of
from growbench.growth.preservation import measure

STD = 0.02  # of GPT-2's random start
LEMON, MSG = methods.load("lemon"), methods.load("msg")


def order(layers: depth.Depth) -> list[str]:
    """Return each layer's source, with a z where it writes nothing or is masked."""
    return [f"{layer.sources[0][0]}{'z' * (layer.silent or layer.masked)}" for layer in layers]


def lemon(family: str, case: str, **options):
    return grow("lemon", family, cases(family)[case], LEMON.check_options(options))


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ("first", "0 0z 1 2 3 4 4z 5 6 7"),
        ("last", "0 1 2 3 3z 4 5 6 7 7z"),  # LLaMA-Pro, from 8 to 10
        ("top", "0 1 2 3 4 5 6 6z 7 7z"),  # LEMON's released code, from 8 to 10
    ],
)
def test_copies_are_added_behind_the_first_the_last_or_the_top_layers(where: str, expected: str) -> None:
    assert order(LEMON.deepen(8, 10, LEMON.check_options({"where": where}))) == expected.split()
    assert order(MSG.deepen(8, 10, MSG.check_options({"where": where}))) == expected.split()
    assert order(depth.identities(3, 6, where)) == ["0", "0z", "1", "1z", "2", "2z"]  # type: ignore[arg-type]
    assert order(depth.identities(2, 5, where)).count("1z") == (1 if where == "first" else 2)  # type: ignore[arg-type]


def test_papers_names_have_the_layers_of_their_code() -> None:
    assert order(LEMON.deepen(3, 5, LEMON.check_options({}))) == ["0", "1", "1z", "2", "2z"]
    assert order(MSG.deepen(3, 5, MSG.check_options({}))) == ["0", "1", "2", "1z", "2z"]
    assert order(MSG.deepen(2, 4, MSG.check_options({}))) == ["0", "1", "0z", "1z"]


@pytest.mark.parametrize("fanout", ["comp", "projection"])
def test_copies_share_a_weight_as_the_authors_code_does(fanout: str) -> None:
    """[W - R, R] with R of 0.1 of the start (BERT), W / 2 + R - mean of R with R of the full start (ViT)."""
    source, target = lemon("gpt2", "width x 2", fanout=fanout)
    small, big = (model.transformer.h[0].mlp.c_fc.weight for model in (source, target))
    written = torch.cat([small, small], dim=1)
    first, second = big.split(small.shape[0])
    assert torch.allclose(first + second, written, atol=1e-14)
    drawn = second if fanout == "comp" else (second - first) / 2
    strength = 0.1 * STD if fanout == "comp" else STD / 2**0.5
    assert float(drawn.detach().std()) == pytest.approx(strength, rel=0.05)


def test_the_size_of_the_random_part_can_be_chosen() -> None:
    _, target = lemon("gpt2", "width x 2", noise=0.5)
    second = target.transformer.h[0].mlp.c_fc.weight.split(36)[1]
    assert float(second.detach().std()) == pytest.approx(0.5 * STD, rel=0.05)


@pytest.mark.parametrize("silent", ["next", "zero", "cancel"])
def test_only_outputs_that_cancel_let_gradients_through_at_once(silent: str) -> None:
    _, target = lemon("gpt2", "both", silent=silent)  # layers 0, 1, 1z
    layer, family = target.transformer.h[2], families.load("gpt2")
    family.head(target, family.encode(target, inputs(family, target.config))).square().sum().backward()
    random = silent == "cancel"
    for inner, outer in ((layer.mlp.c_fc, layer.mlp.c_proj), (layer.attn.c_attn, layer.attn.c_proj)):
        assert bool(inner.weight.grad.abs().max() > 1e-12) == random and not outer.bias.any()
        halves = outer.weight.split(len(outer.weight) // 2)
        assert torch.allclose(halves[0] + halves[1], torch.zeros(()).double(), atol=1e-16)
        assert float(outer.weight.detach().std()) == pytest.approx(STD / 2**0.5 if random else 0.0, rel=0.05)
    for parameter in target.parameters():
        parameter.grad = None


def test_units_of_a_silent_layer_come_from_the_next_source_layer() -> None:
    source = source_model("gpt2", cases("gpt2")["depth 3 to 5"][0])
    family, spec = families.load("gpt2"), cases("gpt2")["depth 3 to 5"][0]
    wide = spec.resized(layers=5, hidden=2 * spec.hidden, heads=2 * spec.heads, ffn=2 * spec.ffn)
    _, target = grow("lemon", "gpt2", (spec, wide))  # layers 0, 1, 1z, 2, 2z

    def read(number: int) -> torch.Tensor:
        first, second = target.transformer.h[number].mlp.c_fc.weight.split(spec.hidden)
        return first + second

    old = [layer.mlp.c_fc.weight for layer in source.transformer.h]
    for number, here, added in ((1, 1, 1), (2, 1, 2), (3, 2, 2), (4, 2, 2)):
        assert torch.allclose(read(number), torch.cat([old[here], old[added]], dim=1), atol=1e-14), number
    assert measure(family, source, target, inputs(family, source.config)).relative_delta <= 1e-10


def unmasked(family: str, case, **options):
    """Return the target of MSG, without masks, and its options."""
    given = MSG.check_options(options)
    return grow_model(source_model(family, case[0]), families.load(family), case[1], MSG, given).eval(), given


def test_masks_on_projections_scale_what_new_units_and_heads_compute() -> None:
    """m * (W x + b) before the activation is the model whose new rows of W and b are multiplied by m."""
    family, (small, big) = families.load("qwen2"), cases("qwen2")["heads"]
    case = small, big.resized(ffn=2 * small.ffn)
    target, options = unmasked("qwen2", case)
    scaled, _ = unmasked("qwen2", case)
    mask(target, "msg", "qwen2", case, options).set(0.5)
    old = {"q_proj": small.heads * 10, "k_proj": small.kv_heads * 10, "v_proj": small.kv_heads * 10}
    old |= {"gate_proj": small.ffn, "up_proj": small.ffn}
    with torch.no_grad():
        for name, parameter in scaled.named_parameters():
            if (module := name.split(".")[-2]) in old:
                parameter[old[module] :] *= 0.5
    given = inputs(family, target.config)
    assert measure(family, scaled, target, given).relative_delta <= 1e-12
    assert measure(family, unmasked("qwen2", case)[0], target, given).relative_delta > 1e-4


@pytest.mark.parametrize("family", ["bert", "gpt2", "gpt_neox"])
def test_the_two_forms_of_masks_agree_at_their_ends_and_differ_between(family: str) -> None:
    chosen, case = families.load(family), cases(family)["both"]
    given = inputs(chosen, source_model(family, case[0]).config)
    models = [unmasked(family, case, masks=form, where="top") for form in ("projections", "outputs")]
    masks = [mask(model, "msg", family, case, options) for model, options in models]
    for share, same in ((0.0, True), (0.5, False), (1.0, True)):
        for each in masks:
            each.set(share)
        assert (measure(chosen, models[0][0], models[1][0], given).relative_delta <= 1e-10) == same, share


@pytest.mark.parametrize("form", ["projections", "outputs"])
def test_embeddings_that_no_norm_reads_are_hidden_too(form: str) -> None:
    """OPT-350m: post-LN, its first layer reads the embeddings as they are."""
    family, spec = families.load("opt"), SPECS["opt"]
    source = perturbed(family, spec, do_layer_norm_before=False, word_embed_proj_dim=20)
    case = (spec, doubled(spec))
    target = grow_model(source, family, case[1], MSG, options := MSG.check_options({"masks": form})).eval()
    operator, config = operator_of(family, source.config, case[1], MSG, options, 0)
    Masks(operator, target, family.roles(config))
    assert measure(family, source, target, inputs(family, source.config)).relative_delta <= 1e-10


def test_query_heads_without_heads_to_read_cannot_be_hidden_by_their_projections() -> None:
    with pytest.raises(
        GrowBenchError, match=r"target\.heads: 12 adds query heads.*use 6 or methods\.msg\.masks: outputs"
    ):
        grow("msg", "llama", cases("llama")["query heads"])


def test_dimensions_grow_in_turns() -> None:
    target = SOURCE.resized(layers=4, hidden=64, heads=4, ffn=128)
    plan = MSG.plan(SOURCE, target, MSG.check_options({"turns": True, "ramp": 0.05}), PRICES)
    wide = SOURCE.resized(hidden=64, heads=4)
    assert [(s.spec, s.until, s.enter, s.optimizer, s.mask) for s in plan.stages] == [
        (wide, 0.05, "source", "reset", 0.05),
        (wide.resized(ffn=128), 0.1, "grow", "asymmetric", 0.05),
        (target, 1.0, "grow", "asymmetric", 0.05),
    ]
    assert len(MSG.plan(SOURCE, SOURCE.resized(ffn=128), MSG.check_options({"turns": True}), PRICES).stages) == 1
    with pytest.raises(GrowBenchError, match=r"methods\.msg\.ramp: 3 ramps of 0\.4 leave nothing of the budget"):
        MSG.plan(SOURCE, target, MSG.check_options({"turns": True, "ramp": 0.4}), PRICES)


def test_an_option_at_what_the_method_did_before_it_is_not_told_apart() -> None:
    before = {"fanout": "equal", "noise": 0.1, "silent": "zero", "where": "first"}
    assert LEMON.later(LEMON.check_options(before)) == {"fanout", "silent", "where"}
    assert LEMON.later(LEMON.check_options({})) == set() and methods.load("stack").later({}) == set()

"""Every family and its stock config: sizes, settings, inputs, and the shapes that are refused."""

import pytest
import torch
import transformers
from support.helpers import SPECS, TEXT, doubled, grown, inputs, move, perturbed, stock

from growbench import families
from growbench.errors import GrowBenchError
from growbench.spec import ModelSpec


@pytest.mark.parametrize("name", families.names())
def test_the_spec_survives_the_stock_config(name: str) -> None:
    family = families.load(name)
    config = stock(name)
    assert family.spec(config) == SPECS[name]
    assert family.spec(family.config(doubled(SPECS[name]), base=config)) == doubled(SPECS[name])
    assert config.model_type == family.model_type
    assert family.name == name == family.model_type.replace("-", "_")
    assert families.of(config) is family


def test_a_stock_config_that_cannot_be_grown_is_refused_with_the_reason() -> None:
    with pytest.raises(
        GrowBenchError, match=r"model_type: albert cannot be grown: its layers share .*; use a model"
    ) as caught:
        families.of(transformers.AlbertConfig())
    assert "\n" not in str(caught.value)
    with pytest.raises(GrowBenchError, match=r"family: albert cannot be grown: its layers share .*; .*allowed: bert"):
        families.load("albert")


@pytest.mark.parametrize("config", ["T5", "Whisper", "DeepseekV3", "Jamba"])
def test_architectures_without_a_family_are_refused_by_name(config: str) -> None:
    made = getattr(transformers, f"{config}Config")()
    with pytest.raises(GrowBenchError, match=rf"model_type: {made.model_type} cannot be grown: it.*; use a model"):
        families.of(made)


def test_an_unknown_stock_config_is_refused_in_one_line() -> None:
    with pytest.raises(GrowBenchError, match=r"'mpnet' is not a known family; .*gpt_neox") as caught:
        families.of(transformers.MPNetConfig())
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", families.names())
def test_settings_other_than_sizes_do_not_change(name: str) -> None:
    family = families.load(name)
    base = stock(name, num_labels=7, initializer_range=0.05, **family.dropout(0.25))
    again = family.config(doubled(SPECS[name]), base=base)
    assert again.num_labels == 7 and family.init_std(again) == 0.05
    assert all(getattr(again, key) == 0.25 for key in family.dropouts)
    assert getattr(again, "rope_parameters", None) == getattr(base, "rope_parameters", None)


@pytest.mark.parametrize("name", families.names())
def test_the_stock_config_has_every_key_that_a_family_names(name: str) -> None:
    family, keys = families.load(name), vars(getattr(transformers, f"{families.load(name).stock}Config")())
    assert set(family.dropouts) <= keys.keys()
    assert family.norm_eps in {None, *keys}
    assert set(family.sizes.values()) - {family.sizes.get("head_size")} <= keys.keys()
    assert family.traits(stock(name)).rotary == hasattr(stock(name), "rope_parameters")


@pytest.mark.parametrize(
    ("name", "sizes", "words"),
    [
        ("bert", {"head_size": 10}, "model.head_size"),
        ("gpt2", {"kv_heads": 1}, "model.kv_heads"),
        ("llama", {"heads": 5, "kv_heads": 5, "head_size": 4}, "model.heads"),
        ("vit", {"vocab": 50}, "model.vocab"),
        ("vit", {"max_length": 9}, "model.max_length"),
        ("deit", {"max_length": 10}, "model.max_length: 10 is not 2"),
    ],
)
def test_shapes_that_the_stock_model_cannot_have_are_refused(name: str, sizes: dict[str, int], words: str) -> None:
    with pytest.raises(GrowBenchError, match=words) as caught:
        families.load(name).config(ModelSpec(**{**SPECS[name].to_dict(), **sizes}))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", families.names())
def test_the_longest_input_runs_and_has_no_padding(name: str) -> None:
    family, config = families.load(name), stock(name)
    given = family.inputs(config, batch=2, length=10**6, seed=1)
    assert torch.equal(given, family.inputs(config, batch=2, length=10**6, seed=1))
    model = family.build(config).eval()
    assert family.head(model, family.encode(model, given)).isfinite().all()
    if name in TEXT:
        assert given.shape == (2, SPECS[name].max_length)
        assert not (given == (config.pad_token_id if config.pad_token_id is not None else -1)).any()


@pytest.mark.parametrize("name", ["vit", "deit"])
def test_logits_of_the_class_token_equal_the_stock_ones(name: str) -> None:
    family = families.load(name)
    model = perturbed(family, SPECS[name], dtype=torch.float32)
    given = inputs(family, model.config)
    ours = family.head(model, family.encode(model, given))
    assert torch.equal(ours[:, 0], model(given).logits)


@pytest.mark.parametrize("pooled", [24, 16])
def test_a_pooler_grows_only_if_it_has_the_hidden_size(pooled: int) -> None:
    family = families.load("vit")
    base = stock("vit", pooler_output_size=pooled)
    assert family.config(doubled(SPECS["vit"]), base=base).pooler_output_size == (48 if pooled == 24 else 16)
    source = move(family.build(base, model_class=transformers.ViTModel), 1).double().eval()
    target = grown(family, source, doubled(SPECS["vit"]))
    given = inputs(family, base)
    before, after = (model(given).pooler_output[:, :16] for model in (source, target))
    assert (before - after).abs().max() <= 1e-10


def test_attention_scaled_by_layer_number_cannot_grow_deeper() -> None:
    model = perturbed(families.load("gpt2"), SPECS["gpt2"], scale_attn_by_inverse_layer_idx=True)
    with pytest.raises(GrowBenchError, match=r"target\.layers: 6 .* keep 3"):
        grown(families.load("gpt2"), model, SPECS["gpt2"].resized(layers=6))


def test_a_config_without_a_head_size_divides_the_hidden_one() -> None:
    config = transformers.Qwen2Config(hidden_size=32, num_attention_heads=4, num_key_value_heads=2, num_hidden_layers=1)
    assert not hasattr(config, "head_dim")
    spec = families.load("qwen2").spec(config)
    assert (spec.head_size, spec.heads, spec.kv_heads) == (8, 4, 2)

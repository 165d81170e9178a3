"""`growbench grow` from a dense directory to a mixture of experts: files, reports, refusals."""

import json

import pytest
import torch
from safetensors.torch import load_file
from support.checkpoints import grow, refusal, request, saved
from support.mixtures import DENSE, EXPERTS
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, LlamaForSequenceClassification

from growbench import families
from growbench.errors import GrowBenchError
from growbench.growth.preservation import measure
from growbench.pipeline.grow import measure as comparison
from growbench.pipeline.grow import optimizer
from growbench.pipeline.grow import run as verb


@pytest.mark.parametrize("family", DENSE)
@pytest.mark.parametrize("method", ["upcycle", "drop_upcycling"])
def test_the_directory_is_the_one_that_the_stock_class_would_write(method: str, family: str, tmp_path) -> None:
    source = saved(tmp_path / "source", family)
    report = grow(source, tmp_path / "out", method=method, experts=EXPERTS, active=3)
    grown, told = AutoModelForCausalLM.from_pretrained(tmp_path / "out", output_loading_info=True)
    assert not (told["missing_keys"] or told["unexpected_keys"] or told["mismatched_keys"])
    grown.save_pretrained(tmp_path / "again")
    ours, theirs = (load_file(tmp_path / name / "model.safetensors") for name in ("out", "again"))
    assert ours.keys() == theirs.keys() and all(torch.equal(ours[key], theirs[key]) for key in ours)
    assert report["claimed"]["exact"] == (method == "upcycle") and report["problem"] is None
    assert (report["measured"]["relative_delta"] <= 1e-5) == (method == "upcycle")
    assert report["target"]["experts"] == EXPERTS and report["class"] == type(grown).__name__
    assert report["parameters_after"] == sum(p.numel() for p in grown.parameters())
    written = json.loads((tmp_path / "out/config.json").read_text())
    assert written["num_experts_per_tok"] == 3 and written["model_type"] == families.mixture_of(family).name
    assert "| experts | 1 | 4 |" in (tmp_path / "out/README.md").read_text()


def test_a_bf16_growth_keeps_every_bit_and_is_compared_layer_by_layer_over_shards(tmp_path, monkeypatch) -> None:
    source = saved(tmp_path / "source", "qwen2", torch.bfloat16)
    monkeypatch.setattr(comparison, "SHARE", 0.0)
    report = grow(source, tmp_path / "out", method="upcycle", experts=2, shard_size="9KB")
    assert report["measured"]["how"].startswith("layer by layer") and report["measured"]["relative_delta"] <= 1e-5
    assert len(list((tmp_path / "out").glob("model-*.safetensors"))) > 3
    small, grown = load_file(source / "model.safetensors"), {}
    for path in (tmp_path / "out").glob("*.safetensors"):
        grown |= load_file(path)
    for layer in range(2):
        here = f"model.layers.{layer}.mlp"
        for number in range(2):
            for end, factor in (("gate_proj", 1), ("up_proj", 1), ("down_proj", 2)):
                piece = grown[f"{here}.experts.{number}.{end}.weight"]
                assert piece.dtype == torch.bfloat16 and torch.equal(piece * factor, small[f"{here}.{end}.weight"])
    assert all(torch.equal(grown[key], small[key]) for key in small if ".mlp." not in key)


def test_a_classifier_and_a_router_of_zeros(tmp_path) -> None:
    family = families.load("llama")
    config = family.config(family.example_spec(), num_labels=3, pad_token_id=0)
    LlamaForSequenceClassification(config).save_pretrained(tmp_path / "source")
    grow(tmp_path / "source", tmp_path / "out", method="upcycle", experts=3, active=1, options=("router=zero",))
    models = [AutoModelForSequenceClassification.from_pretrained(tmp_path / n).eval() for n in ("source", "out")]
    ids = family.inputs(config, batch=2, length=9, seed=1)
    first, second = (model(ids).logits for model in models)
    assert torch.allclose(first, second, atol=1e-5) and not models[1].model.layers[0].mlp.gate.weight.any()


def test_moments_of_adam_are_grown_with_the_model(tmp_path) -> None:
    source = saved(tmp_path / "source", "llama")
    model = AutoModelForCausalLM.from_pretrained(source)
    adam = torch.optim.AdamW(model.parameters(), lr=1e-4)
    model(torch.arange(12)[None]).logits.square().mean().backward()
    adam.step()
    optimizer.save(model, adam, tmp_path / "moments")
    grow(source, tmp_path / "out", method="upcycle", experts=2, optimizer=tmp_path / "moments", policy="copy")
    grown = AutoModelForCausalLM.from_pretrained(tmp_path / "out")
    target = torch.optim.AdamW(grown.parameters(), lr=1e-4)
    without = optimizer.load(grown, target, tmp_path / "out/optimizer")
    assert without == [f"model.layers.{layer}.mlp.gate.weight" for layer in range(2)]
    small = adam.state[model.model.layers[1].mlp.down_proj.weight]["exp_avg"]
    wide = target.state[grown.model.layers[1].mlp.experts.down_proj]["exp_avg"]
    assert all(torch.equal(one, small) for one in wide)


def test_what_cannot_become_a_mixture_is_refused(tmp_path, capsys) -> None:
    llama, out = saved(tmp_path / "llama", "llama"), tmp_path / "out"
    assert "--experts: missing" in refusal(capsys, llama, out, method="upcycle")
    assert "--layers 4: upcycle makes experts" in refusal(
        capsys, llama, out, "--experts=2", "--layers=4", method="upcycle"
    )
    assert "--active: 3 is more than" in refusal(capsys, llama, out, "--experts=2", "--active=3", method="upcycle")
    assert "use one of drop_upcycling, upcycle" in refusal(capsys, llama, out, "--experts=2", "--hidden=48")
    assert "--experts 0: not a number" in refusal(capsys, llama, out, "--experts=0", method="upcycle")
    biased = saved(tmp_path / "biased", "llama", attention_bias=True)
    told = refusal(capsys, biased, out, "--experts=2", method="upcycle")
    assert "mixtral has no place for model.layers.0.self_attn.q_proj.bias" in told
    assert "no stock model of bert's layers" in refusal(
        capsys, saved(tmp_path / "bert"), out, "--experts=2", method="upcycle"
    )
    mixed = saved(
        tmp_path / "mixed", "qwen3", use_sliding_window=True, layer_types=["full_attention", "sliding_attention"]
    )
    assert "layer_types: some layers attend" in refusal(capsys, mixed, out, "--experts=2", method="upcycle")
    grow(llama, tmp_path / "moe", method="upcycle", experts=2)
    assert "mixtral cannot be grown: " in refusal(capsys, tmp_path / "moe", out, "--layers=4", method="stack")


def test_a_window_of_every_layer_goes_along(tmp_path) -> None:
    kinds = ["sliding_attention"] * 2
    source = saved(tmp_path / "source", "qwen3", use_sliding_window=True, sliding_window=4, layer_types=kinds)
    report = verb.run(request(source, tmp_path / "out", method="upcycle", experts=2))
    family = families.load("qwen3")
    models = [AutoModelForCausalLM.from_pretrained(tmp_path / name).eval() for name in ("source", "out")]
    ids = family.inputs(models[0].config, batch=2, length=12, seed=0)
    assert report["problem"] is None and measure(family, *models, ids).relative_delta <= 1e-5
    with pytest.raises(GrowBenchError, match="model_type"):
        verb.run(request(tmp_path / "out", tmp_path / "twice", method="upcycle", experts=2))

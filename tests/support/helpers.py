"""Small models with every parameter moved off its default, and the shapes that the contract tests grow."""

from typing import Any

import torch
from torch import nn
from transformers.models.llama.modeling_llama import LlamaRMSNorm

from growbench.families import Family
from growbench.plan.plan import Prices
from growbench.spec import ModelSpec

PRICES = Prices(
    budget=1e12,
    step=lambda stage: (
        sum(depth + 2 * top for depth, top in stage.submodels())
        * (2 * stage.spec.hidden + stage.spec.ffn)
        / (len(stage.submodels()) * stage.pool * stage.cut)
    ),
    tokens=512,
    parameters=1e6,
)  # of the layers alone
SOURCE = ModelSpec(family="bert", layers=2, hidden=32, heads=2, ffn=64, vocab=50, max_length=16)


def awkward(family: str, **sizes: int) -> ModelSpec:
    """A small shape that no rule of thumb fits: three heads, an FFN that is not four times as wide."""
    return ModelSpec(
        **{"layers": 2, "hidden": 36, "heads": 3, "ffn": 58, "vocab": 53, "max_length": 14, **sizes}, family=family
    )


SPECS: dict[str, ModelSpec] = {
    "bert": awkward("bert"),
    "roberta": awkward("roberta", hidden=24, ffn=40),
    "gpt2": awkward("gpt2", layers=3, ffn=70),
    "llama": awkward("llama", hidden=24, heads=6, kv_heads=2, head_size=10, ffn=44),
    "gpt_neox": awkward("gpt_neox", hidden=48, ffn=50),
    "opt": awkward("opt"),
    "vit": awkward("vit", hidden=24, ffn=40, vocab=0, max_length=10),
}
SETTINGS: dict[str, dict[str, Any]] = {"vit": {"patch_size": 4, "num_labels": 5}}


def doubled(spec: ModelSpec) -> ModelSpec:
    """Twice as wide, with twice as many heads and groups of the same size."""
    return spec.resized(
        hidden=2 * spec.hidden,
        heads=2 * spec.heads,
        kv_heads=2 * spec.kv_heads,
        head_size=spec.head_size,
        ffn=2 * spec.ffn,
    )


def one_and_a_half(spec: ModelSpec) -> tuple[ModelSpec, ModelSpec]:
    """A source with an even number of heads, and a target one and a half times as wide."""
    source = spec if spec.heads % 2 == 0 else spec.resized(heads=2)
    return source, source.resized(
        hidden=3 * source.hidden // 2,
        heads=3 * source.heads // 2,
        kv_heads=3 * source.kv_heads // 2,
        head_size=source.head_size,
        ffn=3 * source.ffn // 2,
    )


def perturbed(
    family: Family,
    spec: ModelSpec,
    *,
    seed: int = 0,
    dtype: torch.dtype = torch.float64,
    steps: int = 2,
    **settings: Any,
) -> nn.Module:
    """A model whose biases, gains and head are far from their defaults, after a few optimizer steps.

    settings: of the stock config, over those of SETTINGS.
    """
    given = {**family.dropout(0.0), **SETTINGS.get(family.name, {}), **settings}
    model = move(family.build(family.config(spec, **given), seed=seed).to(dtype), seed + 1)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    given_inputs = inputs(family, model.config)
    for _ in range(steps):
        optimizer.zero_grad()
        logits = family.head(model, family.encode(model, given_inputs)).flatten(0, 1)
        labels = torch.arange(len(logits)) % logits.shape[-1]
        torch.nn.functional.cross_entropy(logits, labels).backward()
        optimizer.step()
    return model.eval()


def move(model: nn.Module, seed: int) -> nn.Module:
    """Add noise to every parameter, biases and gains included; return the model."""
    rng = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            noise = 0.1 * torch.randn(parameter.shape, generator=rng, dtype=torch.float64)
            parameter.add_(noise.to(parameter.dtype))
    return model


def no_dropout() -> dict[str, float]:
    return {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}


def token_ids(spec: ModelSpec, seed: int = 3) -> torch.Tensor:
    return torch.randint(0, spec.vocab, (3, 12), generator=torch.Generator().manual_seed(seed))


def inputs(family: Family, config: Any, *, batch: int = 3, length: int = 12, seed: int = 3) -> torch.Tensor:
    """Random valid inputs: token ids [B, T], or pixels [B, C, H, W]."""
    return family.inputs(config, batch=batch, length=length, seed=seed)


_stock_norm = LlamaRMSNorm.forward


def _norm(self: Any, hidden: torch.Tensor) -> torch.Tensor:
    if hidden.dtype != torch.float64:
        return _stock_norm(self, hidden)
    return nn.functional.rms_norm(hidden, (hidden.shape[-1],), self.weight, self.variance_epsilon)


# The stock norm computes in float32 whatever the model's dtype, which would hide an error below 1e-7.
LlamaRMSNorm.forward = _norm

"""Small models with every parameter moved off its default, and the shapes that the tests grow."""

import sys
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel

from growbench import families, methods
from growbench.families import Family
from growbench.growth.model import grow_model
from growbench.growth.preservation import measure
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


SPECS = {name: families.load(name).example_spec() for name in families.names()}
SETTINGS = {name: families.load(name).example_settings for name in families.names()}
TEXT = tuple(name for name in families.names() if families.load(name).objective != "classification")
TIES = [(name, tied) for name in families.names() for tied in ((True, False) if name in TEXT else (False,))]
FPI = methods.load("bert2bert_fpi")


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
    """Return a model whose biases, gains and head are far from their defaults, after a few optimizer steps.

    settings: of the stock config; they override SETTINGS.
    """
    given = {**family.dropout(0.0), **SETTINGS[family.name], **settings}
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


def stock(name: str, **settings: Any) -> Any:
    """The stock config of a family's example."""
    return families.load(name).config(SPECS[name], **{**SETTINGS[name], **settings})


def stock_heads(name: str) -> list[str]:
    """The names of a family's stock classes, one per head, without the common part of their names."""
    family = families.load(name)
    module = sys.modules[family.model_class().__module__]
    found = [getattr(module, each) for each in module.__all__ if not each.endswith("PreTrainedModel")]
    own = [each.__name__ for each in found if issubclass(each, PreTrainedModel)]
    return [each.removeprefix(family.stock) for each in own if each.startswith(family.stock)]


def grown(family: Family, model: nn.Module, target: ModelSpec) -> nn.Module:
    """A model grown by FPI."""
    return grow_model(model, family, target, FPI, FPI.check_options({})).eval()


def drift(name: str, source: nn.Module, target: nn.Module) -> float:
    """The largest difference of a logit, relative to the source's largest logit."""
    family = families.load(name)
    return measure(family, source, target, inputs(family, source.config)).relative_delta


def no_dropout() -> dict[str, float]:
    return {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}


def token_ids(spec: ModelSpec, seed: int = 3) -> torch.Tensor:
    return torch.randint(0, spec.vocab, (3, 12), generator=torch.Generator().manual_seed(seed))


def inputs(family: Family, config: Any, *, batch: int = 3, length: int = 12, seed: int = 3) -> torch.Tensor:
    """Random valid inputs: token ids [B, T], or pixels [B, C, H, W]."""
    return family.inputs(config, batch=batch, length=length, seed=seed)


def norm_in_float64(stock: Any, offset: float) -> Any:
    """The forward pass of an RMSNorm, in float64 where its input is."""

    def forward(self: Any, hidden: torch.Tensor) -> torch.Tensor:
        if hidden.dtype != torch.float64:
            return stock(self, hidden)
        eps = self.eps if hasattr(self, "eps") else self.variance_epsilon
        return nn.functional.rms_norm(hidden, (hidden.shape[-1],), self.weight + offset, eps)

    return forward


def _embedding_in_float64(stock: Any) -> Any:
    """The forward pass of a scaled embedding, with the scale in float64 where the table is."""

    def forward(self: Any, ids: torch.Tensor) -> torch.Tensor:
        if self.weight.dtype != torch.float64:
            return stock(self, ids)
        return nn.Embedding.forward(self, ids) * self.scalar_embed_scale

    return forward


def _attention_in_float64(stock: Any) -> Any:
    """Attention with capped scores, whose softmax is in float64 where its input is."""

    def attend(
        module: Any, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, mask: Any, **given: Any
    ) -> Any:
        if query.dtype != torch.float64:
            return stock(module, query, key, value, mask, **given)
        key, value = (x.repeat_interleave(module.num_key_value_groups, dim=1) for x in (key, value))
        scores = query @ key.transpose(2, 3) * given["scaling"]
        scores = scores if given["softcap"] is None else (scores / given["softcap"]).tanh() * given["softcap"]
        chances = (scores if mask is None else scores + mask).softmax(-1)
        return (chances @ value).transpose(1, 2).contiguous(), chances

    return attend


def _modules(family: Family) -> dict[str, Any]:
    """The modules of a family's example that have parameters, by the names of their weights."""
    model = family.build(family.config(SPECS[family.name], **SETTINGS[family.name]), seed=None)
    return {name: model.get_submodule(name.rpartition(".")[0]) for name, _ in model.named_parameters()}


def _compute_in_float64(family: Family) -> None:
    """Let stock classes that compute in float32, whatever the dtype, follow it: they would hide an error below 1e-7."""
    config = family.config(SPECS[family.name], **SETTINGS[family.name])
    modules, roles = _modules(family), family.roles(config)
    for norm in {type(m) for name, m in modules.items() if roles[name].kind.startswith("norm")} - {nn.LayerNorm}:
        norm.forward = norm_in_float64(norm.forward, family.norm_offset)
    for table in {type(m) for m in modules.values() if hasattr(m, "scalar_embed_scale")}:
        table.forward = _embedding_in_float64(table.forward)
    code = sys.modules[family.model_class().__module__]
    if not family.model_class()._supports_sdpa:
        code.eager_attention_forward = _attention_in_float64(code.eager_attention_forward)  # type: ignore[attr-defined]


for _family in map(families.load, families.names()):
    _compute_in_float64(_family)

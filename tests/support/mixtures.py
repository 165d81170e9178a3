"""Mixtures of experts that are made of small dense models. Importing this lets their stock routers follow float64."""

import sys
from typing import Any

import torch
from support.helpers import SPECS, norm_in_float64
from support.matrix import source_model
from torch import nn

from growbench import families, methods
from growbench.growth.model import grow_model
from growbench.spec import MixtureSpec

DENSE = [dense for mixture in families.mixtures().values() for dense in mixture.dense]
EXPERTS = 4


def spec_of(dense: str, active: int = 2, experts: int = EXPERTS) -> MixtureSpec:
    """Return the shape of the mixture that is made of a dense family's example."""
    values = SPECS[dense].to_dict() | {"family": families.mixture_of(dense).name}
    return MixtureSpec(**values, experts=experts, active=active)


def mix(
    method: str, dense: str, *, active: int = 2, dtype: torch.dtype = torch.float64, seed: int = 0, **options: Any
) -> tuple[nn.Module, nn.Module]:
    """Return (source, target) of one growth."""
    source, chosen = source_model(dense, SPECS[dense], dtype), methods.load(method)
    given = chosen.check_options(options)
    return source, grow_model(source, families.load(dense), spec_of(dense, active), chosen, given, seed=seed).eval()


def _router_in_float64(stock: Any) -> Any:
    """The forward pass of a router whose weights add up to 1, in float64 where its input is."""

    def forward(self: Any, hidden: torch.Tensor) -> Any:
        if hidden.dtype != torch.float64:
            return stock(self, hidden)
        scores = nn.functional.linear(hidden.reshape(-1, self.hidden_dim), self.weight)
        weights, chosen = scores.softmax(-1).topk(self.top_k, dim=-1)
        return scores, weights / weights.sum(-1, keepdim=True), chosen

    return forward


for _mixture in families.mixtures().values():
    _code = sys.modules[_mixture.model_class().__module__]
    _norm = getattr(_code, f"{_mixture.stock}RMSNorm")
    _router = getattr(_code, f"{_mixture.stock}TopKRouter")
    _norm.forward = norm_in_float64(_norm.forward, 0.0)
    _router.forward = _router_in_float64(_router.forward)

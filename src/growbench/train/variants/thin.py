"""Thin variants of a stock model, trained for a while and then restored (CompoundGrow, section 3; grow_bert).

Low-rank FFN: every FFN matrix W [out, in] is a product B A of B [out, r] and A [r, in], r = max(1, round(rank x
min(in, out))); biases stay. Both factors start at N(0, std / sqrt(r)), so that the entries of B A have the standard
deviation std of a stock initialization. W = B A restores the stock model exactly.

Shared ("light") attention: layers 1, 3, ..., counted from 0, have no queries and keys of their own. With P_l =
softmax(Q_l K_l^T / sqrt(d) + mask), layer l computes P_(l-1) V_l. Restoring copies the query and key matrices
of layer l - 1, and the gains of their norms if they have any. That is not exact, because they then read the input of
layer l. P is shared before dropout, which each layer applies as in the stock model.
"""

from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from growbench.errors import GrowBenchError
from growbench.families import Component, Family, Role, axis_size
from growbench.growth.transfer import join, split
from growbench.plan.flops import factor_rank
from growbench.spec import ModelSpec
from growbench.train.variants import shared_attention as attention

STOCK = "_stock_config"
FFN = ("fc1", "gate", "fc2")
QUERY_KEY = ("q", "k", "norm_q", "norm_k")


@dataclass(frozen=True, slots=True)
class Thin:
    """What makes a model thin.

    rank: of the FFN's factors, as a share of a matrix's shorter side; None: no factors.
    shared: whether attention is shared.
    """

    rank: float | None = None
    shared: bool = False


def thin(family: Family, model: nn.Module, how: Thin) -> nn.Module:
    """Make a stock model thin, in place, and return it. torch's global generator draws the factors."""
    if any(isinstance(module, Stand) for module in model.modules()):
        raise GrowBenchError("thin: the model is already thin; restore it first")
    paths = _paths(family, model)
    if how.rank is not None:
        for path, role in paths.items():
            if role.kind in FFN:
                stock, std = model.get_submodule(path), family.init_std(model.config)
                one = len(role.components) == 1
                spec = family.spec(model.config)
                thinner = LowRank(stock, role, how.rank, std) if one else LowRanks(stock, role, how.rank, std, spec)
                model.set_submodule(path, thinner)
    if how.shared:
        _share(family, model, paths)
    return model


def whole(family: Family, model: nn.Module) -> nn.Module:
    """Restore a thin model to the stock one, in place, and return it; a stock model stays as it is."""
    paths = _paths(family, model)
    before = {(role.kind, role.layer): path for path, role in paths.items()}
    for path, role in paths.items():
        module = model.get_submodule(path)
        if isinstance(module, LowRank | LowRanks):
            model.set_submodule(path, module.whole())
        elif isinstance(module, Nothing | ValueOnly | Idle) and role.layer is not None:
            model.set_submodule(path, module.whole(model.get_submodule(before[role.kind, role.layer - 1])))
    for module in model.modules():
        attention.disconnect(module)
    if config := vars(model).pop(STOCK, None):
        _configure(model, config)
    return model


def _paths(family: Family, model: Any) -> dict[str, Role]:
    """Module path and role of every matrix, and norm of queries and keys, of the layers that a thin model may lack."""
    roles = family.roles(model.config, type(model))
    weights = {n.removesuffix(".weight"): r for n, r in roles.items() if n.endswith(".weight") and r.layer is not None}
    return {path: role for path, role in weights.items() if role.kind in FFN + QUERY_KEY}


def _share(family: Family, model: Any, paths: dict[str, Role]) -> None:
    """Take queries and keys out of layers 1, 3, ... and connect each with the layer before."""
    spec = family.spec(model.config)
    queries = {role.layer: path.rpartition(".")[0] for path, role in paths.items() if role.kind == "q"}
    for path, role in paths.items():
        if role.kind in QUERY_KEY and role.layer is not None and role.layer % 2:
            model.set_submodule(path, _without_queries_and_keys(model.get_submodule(path), role, spec))
    for layer in range(1, spec.layers, 2):
        attention.connect(model.get_submodule(queries[layer - 1]), model.get_submodule(queries[layer]))
    setattr(model, STOCK, model.config)
    config = deepcopy(model.config)
    config._attn_implementation = attention.NAME
    _configure(model, config)


def _without_queries_and_keys(stock: Any, role: Role, spec: ModelSpec) -> nn.Module:
    if role.kind.startswith("norm"):
        return Idle(stock)
    return Nothing(stock, role) if len(role.components) == 1 else ValueOnly(stock, role, spec)


def _configure(model: Any, config: Any) -> None:
    """Give a model and its modules another config; the old one, which other models may share, is not changed."""
    old = model.config
    for module in model.modules():
        if getattr(module, "config", None) is old:
            module.config = config


class Stand(nn.Module):
    """Stands in for a stock linear module (Linear or Conv1D), which it holds without its parameters."""

    def __init__(self, stock: Any) -> None:
        super().__init__()
        self.stock = (stock,)  # a tuple, so that PyTorch does not register it as a submodule
        stock.weight = stock.bias = None

    def filled(self, weight: Tensor, bias: nn.Parameter | None) -> nn.Module:
        """Return the stock module with these parameters."""
        stock = self.stock[0].train(self.training)
        stock.weight, stock.bias = nn.Parameter(weight.detach().contiguous()), bias
        return stock


class LowRank(Stand):
    """x -> B (A x) + bias, with B = `up` [out, r] and A = `down` [r, in]."""

    def __init__(self, stock: Any, role: Role, rank: float, std: float) -> None:
        weight, bias = stock.weight, stock.bias
        super().__init__(stock)
        self.rows_first = _rows_first(role)
        rows, columns = weight.shape if self.rows_first else weight.shape[::-1]
        inner = factor_rank(rank, rows, columns)
        factor_std = (std / inner**0.5) ** 0.5
        self.down = nn.Parameter((factor_std * torch.randn(inner, columns)).to(weight))
        self.up = nn.Parameter((factor_std * torch.randn(rows, inner)).to(weight))
        self.bias = bias

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(F.linear(x, self.down), self.up, self.bias)

    def whole(self) -> Any:
        weight = (self.up.detach().double() @ self.down.detach().double()).to(self.up)
        return self.filled(weight if self.rows_first else weight.T, self.bias)


class LowRanks(Stand):
    """Several matrices in one parameter, one after another, each of which is a product of its own."""

    def __init__(self, stock: Any, role: Role, rank: float, std: float, spec: ModelSpec) -> None:
        weight, bias = stock.weight, stock.bias
        super().__init__(stock)
        self.role, self.spec = role, spec
        self.parts = nn.ModuleList()
        for component, piece in zip(role.components, split(weight.detach(), role, spec), strict=True):
            rows, columns = piece.shape
            alone = nn.Linear(columns, rows, bias=False, device="meta")
            alone.weight = nn.Parameter(piece)
            self.parts.append(LowRank(alone, Role((component,)), rank, std))
        self.bias = bias

    def forward(self, x: Tensor) -> Tensor:
        out = torch.cat([part(x) for part in self.parts], dim=-1)
        return out if self.bias is None else out + self.bias

    def whole(self) -> nn.Module:
        pieces = [part.whole().weight for part in self.parts if isinstance(part, LowRank)]
        return self.filled(join([piece.detach() for piece in pieces], self.role, self.spec), self.bias)


class Idle(Stand):
    """The norm of queries or keys in a light layer: passes on zeros that are not used."""

    def forward(self, x: Tensor) -> Tensor:
        return x

    def whole(self, before: Any) -> nn.Module:
        return self.filled(before.weight.detach().clone(), None)


class Nothing(Stand):
    """The query or key projection of a light layer: zeros [..., out] that are not used."""

    def __init__(self, stock: Any, role: Role) -> None:
        rows = stock.weight.shape[0 if _rows_first(role) else 1]
        super().__init__(stock)
        self.rows = rows

    def forward(self, x: Tensor) -> Tensor:
        return x.new_zeros(()).expand(*x.shape[:-1], self.rows)

    def whole(self, before: Any) -> nn.Module:
        bias = None if before.bias is None else nn.Parameter(before.bias.detach().clone())
        return self.filled(before.weight.detach().clone(), bias)


class ValueOnly(Stand):
    """The fused projection of a light layer: values, with zeros in place of queries and keys."""

    def __init__(self, stock: Any, role: Role, spec: ModelSpec) -> None:
        weight, bias = stock.weight, stock.bias
        super().__init__(stock)
        self.role, self.spec, self.rows_first = role, spec, _rows_first(role)
        self.place = [component.kind for component in role.components].index("v")
        self.weight = nn.Parameter(self._split(weight.detach())[self.place].clone())
        self.bias = None if bias is None else nn.Parameter(self._split(bias.detach())[self.place].clone())
        self.groups = spec.kv_heads if role.order == "heads" else 1
        sizes = [(axis_size(component.axes[role.fused], spec) or 0) // self.groups for component in role.components]
        self.padding = sum(sizes[: self.place]), sum(sizes[self.place + 1 :])

    def forward(self, x: Tensor) -> Tensor:
        value = F.linear(x, self.weight if self.rows_first else self.weight.T, self.bias)
        return F.pad(value.unflatten(-1, (self.groups, -1)), self.padding).flatten(-2)

    def whole(self, before: Any) -> nn.Module:
        bias = None if self.bias is None else nn.Parameter(self._joined(before.bias.detach(), self.bias.detach()))
        return self.filled(self._joined(before.weight.detach(), self.weight.detach()), bias)

    def _role(self, tensor: Tensor) -> Role:
        """Return the role of the weight, or of the bias, which has the fused axis only."""
        if tensor.dim() == 2:
            return self.role
        components = tuple(
            Component(component.kind, (component.axes[self.role.fused],)) for component in self.role.components
        )
        return replace(self.role, components=components, fused=0)

    def _split(self, tensor: Tensor) -> list[Tensor]:
        return split(tensor, self._role(tensor), self.spec)

    def _joined(self, before: Tensor, value: Tensor) -> Tensor:
        """Return the previous layer's queries and keys joined with these values."""
        components = self._split(before)
        components[self.place] = value
        return join(components, self._role(before), self.spec)


def _rows_first(role: Role) -> bool:
    """Return whether a weight is stored [out, in]."""
    return role.components[0].axes[0].verb == "writes"

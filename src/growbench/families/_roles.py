"""The vocabulary in which a family says what every axis of every parameter means (docs/METHODS.md).

A *space* is a set of coordinates that growth can widen: `residual` (one for the whole network), `heads`, `kv_heads`
and `ffn` (one per layer). An axis *writes* a space (its entries produce those coordinates), *reads* it (its entries
are multiplied by those coordinates and summed) or *scales* it (norm gains and shifts). Every other axis (`vocab`,
`position`, `class`, ...) is fixed.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any, Literal

from growbench.errors import GrowBenchError
from growbench.spec import ModelSpec

WIDENED = ("residual", "heads", "kv_heads", "ffn")
Verb = Literal["writes", "reads", "scales", "fixed"]


@dataclass(frozen=True, slots=True)
class Axis:
    """One axis of one tensor.

    space: what it runs over.
    verb: what the tensor does with that space.
    """

    space: str
    verb: Verb


def writes(space: str) -> Axis:
    return Axis(space, "writes")


def reads(space: str) -> Axis:
    return Axis(space, "reads")


def scales(space: str) -> Axis:
    return Axis(space, "scales")


def fixed(space: str) -> Axis:
    return Axis(space, "fixed")


@dataclass(frozen=True, slots=True)
class Component:
    """One logical tensor inside a parameter.

    kind: of its module: q, k, v, o, fc1, ...
    axes: in storage order.
    """

    kind: str
    axes: tuple[Axis, ...]


@dataclass(frozen=True, slots=True)
class Role:
    """What one parameter is.

    components: its logical tensors; more than one if they are fused into one parameter.
    layer: number of its layer; None outside the layers.
    fused: the axis along which components are fused.
    order: `blocks`: one component after another; `heads`: all components of a head, then of the next.
    made_of: in a mixture of experts (_mixture.py): the ends of the names of the dense FFN's parameters that it is made of,
        one for each component; empty for the parameter of the same name.
    """

    components: tuple[Component, ...]
    layer: int | None = None
    fused: int = 0
    order: Literal["blocks", "heads"] = "blocks"
    made_of: tuple[str, ...] = field(default=(), repr=False)

    @property
    def kind(self) -> str:
        return self.components[0].kind


def role(kind: str, *axes: Axis) -> Role:
    """Return the role of a parameter that is one logical tensor."""
    return Role((Component(kind, axes),))


def fused(axis: int, order: Literal["blocks", "heads"], *components: Component) -> Role:
    """Return the role of a parameter that stores several logical tensors along one axis."""
    return Role(components, fused=axis, order=order)


Table = Mapping[str, Role]


def linear(name: str, kind: str, row: Axis, column: Axis) -> Table:
    """Return the roles of a torch Linear: weight [row, column], bias [row] if there is one."""
    return {f"{name}.weight": role(kind, row, column), f"{name}.bias": role(kind, row)}


def conv1d(name: str, kind: str, column: Axis, row: Axis) -> Table:
    """Return the roles of a `transformers` Conv1D, a transposed linear map: weight [column, row], bias [row]."""
    return {f"{name}.weight": role(kind, column, row), f"{name}.bias": role(kind, row)}


def norm(name: str, kind: str = "norm") -> Table:
    """Return the roles of a norm over the residual: gain and shift.

    kind: `norm_out`: it ends a post-LN block; `norm_branch`: over what a branch adds to the residual stream.
    """
    return {f"{name}.weight": role(kind, scales("residual")), f"{name}.bias": role(kind, scales("residual"))}


def head_norms(queries: str, keys: str, *, each: bool) -> Table:
    """Return the roles of the gains of two norms, of queries and keys: over each head, or over all heads together."""
    return {
        f"{queries}.weight": role("norm_q", fixed("head") if each else scales("heads")),
        f"{keys}.weight": role("norm_k", fixed("head") if each else scales("kv_heads")),
    }


def embedding(name: str, rows: str) -> Table:
    """Return the role of a table of residual vectors: weight [rows, residual]."""
    return {f"{name}.weight": role("embedding", fixed(rows), writes("residual"))}


def readout(name: str, rows: str) -> Table:
    """Return the roles of a linear head over the residual: weight [rows, residual], bias [rows]."""
    return linear(name, "head", fixed(rows), reads("residual"))


def axis_size(axis: Axis, spec: ModelSpec) -> int | None:
    """Return the length of an axis in a model of this spec; None for fixed axes, whose length the spec does not say."""
    sizes = {
        "residual": spec.hidden,
        "heads": spec.heads * spec.head_size,
        "kv_heads": spec.kv_heads * spec.head_size,
        "ffn": spec.ffn,
    }
    return sizes.get(axis.space)


def resolve(table: Table, names: Iterable[str], family: str) -> dict[str, Role]:
    """Return the role of every parameter name.

    table: from the end of a name to a role; `{l}` stands for the layer's number. Raises GrowBenchError for a name
    without a role: a parameter that the table does not describe must not be grown by guessing.
    """
    roles: dict[str, Role] = {}
    for name in names:
        entry = role_of(table, name)
        if entry is None:
            raise GrowBenchError(f"families/{family}.py: parameter '{name}' has no role; add it to the family's table")
        roles[name] = entry
    return roles


def role_of(table: Table, name: str) -> Role | None:
    """Return the role of one name, with the number of its layer; None if the table does not describe it."""
    for ending, entry in table.items():
        if match := _pattern(ending).search(name):
            return replace(entry, layer=int(match.group(1)) if match.groups() else None)
    return None


@cache
def _pattern(ending: str) -> re.Pattern[str]:
    return re.compile(r"(?:^|\.)" + re.escape(ending).replace(r"\{l\}", r"(\d+)") + "$")


def layers_path(roles: Mapping[str, Role]) -> str:
    """Return the module path of the list of layers: what precedes a layer's number in its parameters' names."""
    name, number = next((name, role.layer) for name, role in roles.items() if role.layer is not None)
    return name.partition(f".{number}.")[0]


def embeddings_path(model: Any) -> str:
    """Return the module path of a stock encoder's embeddings: the module that holds the token table."""
    table = model.get_input_embeddings()
    return next(name for name, module in model.named_modules() if module is table).rpartition(".")[0]

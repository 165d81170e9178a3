"""The vocabulary in which a family says what every axis of every parameter means (docs/METHODS.md, section 1).

A *space* is a set of coordinates that growth can widen: `residual` (one for the whole network), `heads`, `kv_heads`
and `ffn` (one per layer). An axis either *writes* a space (its entries produce those coordinates), *reads* it (its
entries are multiplied with those coordinates and summed) or *scales* it (norm gains and shifts). Every other axis
(`vocab`, `position`, `class`, ...) is fixed.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from growbench.errors import GrowBenchError
from growbench.spec import ModelSpec

WIDENED = ("residual", "heads", "kv_heads", "ffn")
Verb = Literal["writes", "reads", "scales", "fixed"]


@dataclass(frozen=True, slots=True)
class Axis:
    """One axis of one tensor: the space it runs over, and what the tensor does with it."""

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
    """One logical tensor inside a parameter: its module kind (q, k, v, o, fc1, ...) and its axes in storage order."""

    kind: str
    axes: tuple[Axis, ...]


@dataclass(frozen=True, slots=True)
class Role:
    """What one parameter is. components: one unless fused along axis `fused`, in `blocks` or interleaved by `heads`."""

    components: tuple[Component, ...]
    layer: int | None = None
    fused: int = 0
    order: Literal["blocks", "heads"] = "blocks"

    @property
    def kind(self) -> str:
        return self.components[0].kind


def role(kind: str, *axes: Axis) -> Role:
    """A parameter that is one logical tensor."""
    return Role((Component(kind, axes),))


def fused(axis: int, order: Literal["blocks", "heads"], *components: Component) -> Role:
    """A parameter that stores several logical tensors along one axis."""
    return Role(components, fused=axis, order=order)


Table = Mapping[str, Role]


def linear(name: str, kind: str, row: Axis, column: Axis) -> Table:
    """Roles of a torch Linear: weight [row, column], bias [row] where there is one."""
    return {f"{name}.weight": role(kind, row, column), f"{name}.bias": role(kind, row)}


def conv1d(name: str, kind: str, column: Axis, row: Axis) -> Table:
    """Roles of a `transformers` Conv1D, a linear map stored the other way: weight [column, row], bias [row]."""
    return {f"{name}.weight": role(kind, column, row), f"{name}.bias": role(kind, row)}


def norm(name: str, kind: str = "norm") -> Table:
    """Roles of a norm over the residual: gain and shift. kind `norm_out`: it ends a post-LN block."""
    return {f"{name}.weight": role(kind, scales("residual")), f"{name}.bias": role(kind, scales("residual"))}


def embedding(name: str, rows: str) -> Table:
    """Role of a table of residual vectors: weight [rows, residual]."""
    return {f"{name}.weight": role("embedding", fixed(rows), writes("residual"))}


def readout(name: str, rows: str) -> Table:
    """Roles of a linear head over the residual: weight [rows, residual], bias [rows]."""
    return linear(name, "head", fixed(rows), reads("residual"))


def axis_size(axis: Axis, spec: ModelSpec) -> int | None:
    """Length of an axis in a model of this spec; None where the family alone knows it (fixed axes)."""
    sizes = {
        "residual": spec.hidden,
        "heads": spec.heads * spec.head_size,
        "kv_heads": spec.kv_heads * spec.head_size,
        "ffn": spec.ffn,
    }
    return sizes.get(axis.space)


def resolve(table: Table, names: Iterable[str], family: str) -> dict[str, Role]:
    """Give every parameter name its role.

    table maps the end of a name to a role, `{l}` standing for the layer's number. Raises GrowBenchError on a name
    without a role: a parameter that nobody described must not be grown by guess.
    """
    patterns = [(re.compile(r"(?:^|\.)" + re.escape(p).replace(r"\{l\}", r"(\d+)") + "$"), r) for p, r in table.items()]
    found: dict[str, Role] = {}
    for name in names:
        for pattern, entry in patterns:
            if match := pattern.search(name):
                layer = int(match.group(1)) if match.groups() else None
                found[name] = replace(entry, layer=layer)
                break
        else:
            raise GrowBenchError(f"families/{family}.py: parameter '{name}' has no role; add it to the family's table")
    return found


def layers_path(roles: Mapping[str, Role]) -> str:
    """The module path of the list of layers: what comes before a layer's number in the names of its parameters."""
    name, number = next((name, role.layer) for name, role in roles.items() if role.layer is not None)
    return name.partition(f".{number}.")[0]


def embeddings_path(roles: Mapping[str, Role]) -> str:
    """The module path of an encoder's embeddings: where the token table lies."""
    name = next(n for n, r in roles.items() if r.kind == "embedding" and r.components[0].axes[0].space == "vocab")
    return name.rsplit(".", 2)[0]

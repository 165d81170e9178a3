"""A target whose parameters are composed of a frozen source's by an operator's factors.

The module's parameters are the factors. A stock model of the target, whose own parameters are empty, runs on what they
compose, so that gradients reach them. `merged` leaves a stock model behind.
"""

import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from growbench.families import Role
from growbench.growth.learned import ring as rings
from growbench.growth.learned.parts import Anatomy, Part, grouped, streams_of
from growbench.growth.learned.recipe import Learned, Mix, Project, Ring, Scale, Step
from growbench.growth.operator import Operator
from growbench.growth.transfer import join, places, split, stem

STREAM = 0x6C69676F  # keeps the random numbers of the factors apart from others of the same seed
CORE = 4  # axes of a core of a ring
T = TypeVar("T")


class Bundle:
    """One parameter with all of its layers.

    role: of one of them.
    names: by layer; the only one if it lies outside the layers.
    parts: its logical tensors.
    """

    def __init__(self, role: Role, names: list[str], parts: list[Part]) -> None:
        self.role, self.names, self.parts = role, names, parts


def bundles(operator: Operator, roles: Mapping[str, Role], shapes: Mapping[str, torch.Size]) -> dict[str, Bundle]:
    """Return the source's parameters, gathered over the layers, by name without a layer's number."""
    named: dict[str, dict[int | None, str]] = {}
    for (key, layer), name in sorted(places(operator, roles).items(), key=lambda item: item[0][1] or 0):
        named.setdefault(key, {})[layer] = name
    own_head = not operator.tied and any(
        c.kind == "head" and any(a.verb == "writes" for a in c.axes) for r in roles.values() for c in r.components
    )
    found = {}
    for key, by_layer in named.items():
        names = list(by_layer.values())
        role = replace(roles[names[0]], layer=next(iter(by_layer)))
        pieces = split(torch.empty(shapes[names[0]], device="meta"), role, operator.source)
        parts = [
            _part(operator, f"{key}#{number}", role, number, tuple(piece.shape), own_head)
            for number, piece in enumerate(pieces)
        ]
        found[key] = Bundle(role, names, parts)
    return found


def _part(operator: Operator, name: str, role: Role, number: int, shape: tuple[int, ...], own_head: bool) -> Part:
    component, end = role.components[number], operator.output_norm
    last = end is not None and f".{name}".rpartition(".")[0].endswith(f".{end}")
    streams = streams_of(component, own_head, grouped(operator.source, operator.target))
    if last and own_head:
        streams = ("head",)
    return Part(
        name=name,
        component=component,
        shape=shape,
        layered=role.layer is not None,
        streams=streams,
        undoes=last and operator.tied,
        silences=operator.silences(component.kind),
    )


def anatomy_of(operator: Operator, found: Mapping[str, Bundle]) -> Anatomy:
    """Return what a method may know of a growth."""
    parts = [part for bundle in found.values() for part in bundle.parts]
    return Anatomy(operator.source, operator.target, operator.widening, operator.depth, parts)


class Composition(nn.Module):
    """The factors of one learned operator, with the frozen source and the stock target that runs on what they compose.

    config: stock config of the target.
    """

    matrices: Tensor  # what a ring makes together, if there is one

    def __init__(
        self, operator: Operator, learned: Learned, found: Mapping[str, Bundle], source: Mapping[str, Tensor],
        target_roles: Mapping[str, Role], build: Callable[[], Any], seed: int,
    ) -> None:  # fmt: skip
        """source: the source's parameters by name; they are copied. build: makes the stock target."""
        super().__init__()
        self.operator, self.learned, self.found, self.build = operator, learned, found, build
        self.numbers = {name: number for number, name in enumerate(learned.factors)}
        dtype = next(iter(source.values())).dtype
        self.factors = nn.ParameterList(
            nn.Parameter(torch.from_numpy(np.ascontiguousarray(_start(learned, name, seed))).to(dtype))
            for name in learned.factors
        )
        for stream, numbers in learned.reads.items():
            self.register_buffer(f"read_{stream}", torch.from_numpy(numbers).to(dtype))
        for name, order in learned.orders.items():
            self.register_buffer(f"order_{name}", torch.from_numpy(order))
        self.places: dict[str, str] = {}
        self._freeze(source)
        self.targets: dict[str, dict[int, str]] = {}
        for name, role in sorted(target_roles.items(), key=lambda item: item[1].layer or 0):
            self.targets.setdefault(stem(name, role), {})[role.layer or 0] = name
        stock = build()
        self.config = stock.config
        self._stock = (stock,)  # in a tuple, so that its parameters are not this module's
        self._leaves: dict[str, Tensor] | None = None

    def _freeze(self, source: Mapping[str, Tensor]) -> None:
        """Copy the source, each part with all of its layers; what a ring makes together is one tensor."""
        ring = self.learned.ring
        together = dict.fromkeys(cut.part for cut in ring.slicing.cuts) if ring else {}
        matrices = {}
        for bundle in self.found.values():
            layers = [split(source[name].detach(), bundle.role, self.operator.source) for name in bundle.names]
            for number, part in enumerate(bundle.parts):
                stacked = torch.stack([pieces[number] for pieces in layers])
                if part.name in together:
                    matrices[part.name] = stacked
                else:
                    place = self.places[part.name] = f"frozen_{len(self.places)}"
                    self.register_buffer(
                        place, stacked.double() + offset if (offset := self._offset(part)) else stacked
                    )
        if ring:
            self.register_buffer("matrices", rings.joined(ring.slicing, matrices))

    def _offset(self, part: Part) -> float:
        """Return what the stock model adds to a stored gain; the operator works on the sum."""
        return self.operator.family.norm_offset if part.component.kind.startswith("norm") else 0.0

    @property
    def stock(self) -> Any:
        """The stock target; it computes only inside `call`."""
        return self._stock[0]

    def factor(self, name: str) -> Tensor:
        """Return a factor by its name."""
        return self.factors[self.numbers[name]]

    def _matrix(self, name: str) -> Tensor:
        """Return a factor as a map [new, old], or one per layer; of a core, its first block."""
        factor = self.factor(name)
        return factor[0, :, :, 0].mT if factor.dim() == CORE else factor

    def tensors(self) -> Iterator[tuple[str, Tensor]]:
        """Yield (name, tensor) for each parameter of the target, as a differentiable function of the factors."""
        together = self._together(self.learned.ring) if self.learned.ring else {}
        for key, names in self.targets.items():
            bundle = self.found[key]
            pieces = [self._composed(part, together.get(part.name)) for part in bundle.parts]
            for layer, name in names.items():
                yield name, join([piece[layer] for piece in pieces], bundle.role, self.operator.target)

    def _together(self, ring: Ring) -> dict[str, Tensor]:
        cores = (self.factor(name) for name in (ring.read, ring.slices, ring.written, ring.layers))
        return rings.parted(ring.slicing, rings.mapped(self.matrices, *cores))

    def _composed(self, part: Part, made: Tensor | None) -> Tensor:
        """Return a part of the target, [layers, ...]; [1, ...] outside the layers. made: what a ring made of it."""
        tensor: Tensor = getattr(self, self.places[part.name]) if made is None else made
        for step in self.learned.steps(part):
            tensor = self._taken(step, tensor)
        if part.component.kind == "embedding" and self.operator.embedding != 1:
            tensor = tensor * self.operator.embedding
        if part.undoes and self.operator.embedding != 1:
            tensor = tensor / self.operator.embedding
        offset = self._offset(part)
        return (tensor - offset).to(next(self.parameters()).dtype) if offset else tensor

    def _taken(self, step: Step, x: Tensor) -> Tensor:
        if isinstance(step, Mix):
            return (self._matrix(step.factor).to(x) @ x.flatten(1)).unflatten(1, x.shape[1:])
        if isinstance(step, Project):
            return rings.projected(x, step.dim + 1, self._matrix(step.core).to(x), step.size)
        if isinstance(step, Scale):
            numbers: Tensor = getattr(self, f"read_{step.stream}")
            layers = len(numbers) if numbers.dim() == 2 else 1
            return x * numbers.view(layers, *[1] * step.dim, -1, *[1] * (x.dim() - step.dim - 2))
        wide = _widened(x, step.dim + 1, self.factor(step.factor).to(x))
        if step.factor in self.learned.orders:
            return wide.index_select(step.dim + 1, getattr(self, f"order_{step.factor}"))
        return wide

    def call(self, function: Callable[[Any], T]) -> T:
        """Return a function's value at the stock target with composed parameters, or with the leaves if it is open."""
        tensors = self._leaves if self._leaves is not None else dict(self.tensors())
        swapped = {f"model.{name}": tensor for name, tensor in tensors.items()}
        return torch.func.functional_call(_Called(self.stock), swapped, (function,))

    @contextmanager
    def opened(self) -> Iterator[None]:
        """Compose once; gradients that are added up inside reach the factors at the end.

        Every parameter of the target gets a gradient, also those that no factor makes, so that a step costs the target's.
        """
        composed = dict(self.tensors())
        self._leaves = {n: t.detach().requires_grad_() for n, t in composed.items()}
        try:
            yield
            learned = {n: leaf for n, leaf in self._leaves.items() if composed[n].requires_grad}
            reached = {n: leaf.grad for n, leaf in learned.items() if leaf.grad is not None}
            torch.autograd.backward([composed[n] for n in reached], list(reached.values()))
        finally:
            self._leaves = None

    def emptied(self) -> "Composition":
        """Free the stock target's own parameters, which nothing reads, and return the composition."""
        for parameter in self.stock.parameters():
            parameter.data = parameter.data.new_empty(0)
        return self

    @torch.no_grad()
    def merged(self) -> Any:
        """Return a stock model of the target with the composed parameters, on the CPU. It shares no storage."""
        model = self.build()
        slots = dict(model.named_parameters())
        for name, tensor in self.tensors():
            slots[name].data = tensor.detach().to("cpu", copy=True).contiguous()
        return model


class _Called(nn.Module):
    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, function: Callable[[Any], Any]) -> Any:
        return function(self.model)


def _start(learned: Learned, name: str, seed: int) -> Any:
    return learned.factors[name].start(np.random.default_rng([seed, STREAM, zlib.crc32(name.encode())]))


def _widened(x: Tensor, dim: int, rows: Tensor) -> Tensor:
    """Return x [layers, ...] with mixtures of its entries along `dim` added behind them. rows: [(layers,) new, old]."""
    shape = x.shape
    before, old = shape[1:dim].numel(), shape[dim]
    if shape[dim + 1 :].numel() == 1:
        flat = x.reshape(shape[0], before, old)
        wide = torch.cat([flat, flat @ rows.mT], dim=2)
    else:
        flat = x.reshape(shape[0], before, old, -1)
        wide = torch.cat([flat, rows.unsqueeze(-3) @ flat], dim=2)
    return wide.reshape(*shape[:dim], old + rows.shape[-2], *shape[dim + 1 :])

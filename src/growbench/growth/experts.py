"""Turn dense FFNs into mixtures of experts: each expert starts as the FFN, in whole or but for some of its units.

With equal experts, weights that add up to 1 and any router, a mixture computes what the FFN computes (Komatsuzaki et al.,
ICLR 2023, section 3). A shared expert is multiplied by a sigmoid whose weights start at zero, so by 1/2: it is the FFN,
too, and the other experts write half of it.

Re-initialized units are drawn for each expert (Nakamura et al., ICLR 2025, section 3): a unit's row of the gate and up
matrices and its column of the down matrix are N(m, s^2), with m and s of those that the expert loses in that matrix.
"""

from collections.abc import Iterator, Mapping
from itertools import groupby

import torch
from torch import Tensor

from growbench.families import Component, Role
from growbench.growth.component import generator
from growbench.growth.operator import Operator
from growbench.plan.plan import Policy

HALF = 0.5  # what a sigmoid of zero leaves to a shared expert, and so to the others
FFN = ".mlp."
Source = Mapping[str, Tensor]
Moments = Mapping[str, Mapping[str, Tensor]]


def mixture(operator: Operator, source: Source, roles: Mapping[str, Role]) -> Iterator[tuple[str, Tensor]]:
    """Yield (name, tensor) for each parameter of a mixture. roles: of the target. No tensor shares storage with the source."""
    for name, group in groupby(parts(operator, source, roles), key=lambda part: part[0]):
        tensors = [tensor for _, tensor in group]
        yield name, torch.stack(tensors) if per_expert(roles[name]) else tensors[0]


def parts(operator: Operator, source: Source, roles: Mapping[str, Role]) -> Iterator[tuple[str, Tensor]]:
    """Yield the same piece by piece: of a parameter over all experts, one expert's part at a time, under the same name."""
    for name, role in roles.items():
        if role.kind == "router":
            yield name, _router(operator, name, source[sources(name, "gate_proj.weight")[0]])
        elif per_expert(role):
            for number in range(_experts(operator)):
                yield (
                    name,
                    torch.cat([_expert(operator, name, role, number, i, source) for i in range(len(role.made_of))]),
                )
        else:
            yield name, source[sources(name, *role.made_of)[0]].clone()


def per_expert(role: Role) -> bool:
    """Whether a parameter holds the matrices of all experts, one after another."""
    return bool(role.made_of) and role.components[0].axes[0].space == "expert"


def sources(name: str, *ends: str) -> list[str]:
    """Return the names of the dense FFN's parameters with these ends, in the layer of a mixture's parameter; `name` for none."""
    return [name.partition(FFN)[0] + FFN + end for end in ends] or [name]


def made_of(name: str, role: Role) -> list[str]:
    """Return the names of the dense parameters that a mixture's parameter is made of; none for a router."""
    return [] if role.kind == "router" else sources(name, *role.made_of)


def _experts(operator: Operator) -> int:
    return int(getattr(operator.target, "experts", 0))


def _router(operator: Operator, name: str, like: Tensor) -> Tensor:
    """Return a router's weights [experts, hidden], or those of a shared expert's sigmoid [1, hidden]. like: the gate matrix."""
    assert operator.mixing is not None
    shape = (1 if "shared" in name else _experts(operator), like.shape[1])
    std = 0.0 if "shared" in name else operator.mixing.router * operator.init_std
    drawn = torch.randn(shape, generator=generator(operator.seed, name), dtype=torch.float32)
    return (drawn * std).to(like.dtype)


def _expert(operator: Operator, name: str, role: Role, number: int, index: int, source: Source) -> Tensor:
    """Return one matrix of one expert."""
    component, given = role.components[index], source[made_of(name, role)[index]]
    units = new_units(operator, name, number, given.shape[_unit_axis(component)])
    matrix = given * HALF if component.kind == "fc2" and _shared(operator) else given.clone()
    return _renewed(matrix, units, _unit_axis(component), generator(operator.seed, f"{name}/{number}/{component.kind}"))


def _shared(operator: Operator) -> bool:
    return bool(getattr(operator.target_family, "shared", False))


def new_units(operator: Operator, name: str, number: int, ffn: int) -> Tensor:
    """Return which units of an expert are re-initialized: the same ones in all of its matrices."""
    assert operator.mixing is not None
    draw = torch.randperm(ffn, generator=generator(operator.seed, f"{name.partition(FFN)[0]}/{number}/units"))
    return draw[: operator.mixing.units(ffn)].sort().values


def _unit_axis(component: Component) -> int:
    """Return the axis of one expert's matrix that runs over its units."""
    return next(d for d, axis in enumerate(component.axes[1:]) if axis.space == "ffn")


def _renewed(matrix: Tensor, units: Tensor, dim: int, rng: torch.Generator) -> Tensor:
    """Return a matrix whose entries at these units are drawn like those that they replace."""
    if not len(units):
        return matrix
    lost = matrix.index_select(dim, units).double()
    drawn = torch.randn(lost.shape, generator=rng, dtype=torch.float32).double()
    return matrix.index_copy(dim, units, (lost.mean() + lost.std(correction=0) * drawn).to(matrix.dtype))


def mixture_moments(
    operator: Operator, moments: Moments, roles: Mapping[str, Role], policy: Policy, powers: Mapping[str, int]
) -> dict[str, dict[str, Tensor]]:
    """Return Adam's moments of a mixture: experts have the FFN's, re-initialized units and routers have none.

    Policies: `copy` takes them as they are. `scaled` multiplies them by the mean factor of an expert's gradient (to its
    square for the second): a token reaches it with probability active / experts and weight 1 / active, and its gate and
    up matrices through half the down matrix if there is a shared expert, which has 1/2 itself. `asymmetric`: the first
    expert has them, or the shared one, and the others none.
    """
    grown: dict[str, dict[str, Tensor]] = {}
    for name, role in roles.items():
        names = made_of(name, role)
        if not names or any(source not in moments for source in names):
            continue
        for key, power in powers.items():
            given = [moments[source][key] for source in names]
            grown.setdefault(name, {})[key] = _moment(operator, name, role, given, power, policy)
        grown[name]["step"] = moments[names[0]]["step"].clone()
    return grown


def _moment(operator: Operator, name: str, role: Role, given: list[Tensor], power: int, policy: Policy) -> Tensor:
    if not per_expert(role):
        halved = bool(role.made_of) and policy == "scaled"
        return given[0] * HALF**power if halved else given[0].clone()
    experts, shared = _experts(operator), _shared(operator)
    rows = []
    for number in range(experts):
        row = []
        for component, moment in zip(role.components, given, strict=True):
            factor = 1.0
            if policy == "scaled":
                factor = (HALF if shared and component.kind != "fc2" else 1.0) / experts
            if policy == "asymmetric":
                factor = float(number == 0 and not shared)
            dim = _unit_axis(component)
            row.append(
                (moment * factor**power).index_fill(dim, new_units(operator, name, number, moment.shape[dim]), 0.0)
            )
        rows.append(torch.cat(row))
    return torch.stack(rows)

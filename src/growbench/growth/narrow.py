"""Which tensors can be grown in the type in which they are stored, with the bytes of a growth in a wider type.

Copies are, and so is what is multiplied once by numbers of that type: a product of two such numbers is rounded once,
whether its type is the narrow one or a wider one that is cast at the end.
"""

from collections.abc import Mapping

import numpy as np
import torch

from growbench.families import Axis, Component, Role
from growbench.growth.component import factors_of, grown_axes
from growbench.growth.depth import Layer
from growbench.growth.maps import SpaceMap
from growbench.growth.operator import Operator
from growbench.growth.transfer import donor_rows, fresh, places, stem

OUTSIDE = Layer(((-1, 1.0),))


def sources(
    operator: Operator, source_roles: Mapping[str, Role], target_roles: Mapping[str, Role]
) -> dict[str, list[str]]:
    """Return the source's parameters that each target parameter is a sum of, by name."""
    named = places(operator, source_roles)
    return {
        name: [
            named[stem(name, role), None if role.layer is None else layer]
            for layer, _ in _origin(operator, role).sources
        ]
        for name, role in target_roles.items()
    }


def same_bytes(operator: Operator, role: Role, dtype: torch.dtype) -> bool:
    """Whether a target parameter can be grown in this type. Norms, which are small, are never said to be."""
    origin = _origin(operator, role)
    if role.kind.startswith("norm") or len(origin.sources) != 1 or origin.sources[0][1] != 1.0:
        return False
    if fresh(origin, role) or (origin.silent and operator.silences(role.kind)):
        return False
    return all(_multiplied_once(operator, role, component, dtype) for component in role.components)


def is_copy(operator: Operator, role: Role) -> bool:
    """Whether a target parameter that `same_bytes` accepts is a source's parameter as it is."""
    return all(
        all(space.is_identity for _, space in _spaces(operator, role, component))
        and not _factors(operator, role, component)
        for component in role.components
    )


def _multiplied_once(operator: Operator, role: Role, component: Component, dtype: torch.dtype) -> bool:
    """Whether every entry is one of the source's, times one number of this type: nothing is filled in or made uneven."""
    layer, spaces = _layer(operator, role), _spaces(operator, role, component)
    if donor_rows(operator, role, component, layer) is not None or any((space.index < 0).any() for _, space in spaces):
        return False
    wider = [axis.verb for axis, space in spaces if not space.is_identity]
    if wider and (operator.widening.coupling != "shared" or (operator.widening.noise and "reads" in wider)):
        return False
    factors = _factors(operator, role, component)
    return len(factors) <= 1 and all(_held(numbers, dtype) for numbers in factors)


def _factors(operator: Operator, role: Role, component: Component) -> list[np.ndarray]:
    """Return the numbers that a tensor is multiplied by, one array for each time."""
    found = [factors_of(axis, space) for axis, space in _spaces(operator, role, component)]
    found.append(np.array([operator.widening.query if component.kind == "q" else 1.0]))
    found.append(np.array([operator.embedding if component.kind == "embedding" else 1.0]))
    return [numbers for numbers in found if (numbers != 1).any()]


def _held(numbers: np.ndarray, dtype: torch.dtype) -> bool:
    """Whether a type holds these numbers exactly."""
    given = torch.from_numpy(np.unique(numbers)).double()
    return bool(torch.equal(given.to(dtype).double(), given))


def _origin(operator: Operator, role: Role) -> Layer:
    return OUTSIDE if role.layer is None else operator.depth[role.layer]


def _layer(operator: Operator, role: Role) -> int | None:
    return None if role.layer is None else _origin(operator, role).sources[0][0]


def _spaces(operator: Operator, role: Role, component: Component) -> list[tuple[Axis, SpaceMap]]:
    return [(axis, space) for _, axis, space in grown_axes(operator, component, _layer(operator, role))]

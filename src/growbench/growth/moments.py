"""Grow Adam's moments with their parameters, by name.

A parameter's gradient grows as the parameter does, with a different factor. If x_t[j] = x_s[g(j)] is written, and read
with factor read[j], the gradient that reaches copy j is read[j] times the source's. What a tensor reads is not scaled:

    grad_t[j, i] = read_out[j] * grad_s[g_out(j), g_in(i)]

Policies: `reset` (no moments), `copy` (factor 1), `scaled` (first moment by the gradient's factor, second by its
square: Staged Training's 1/2 and 1/4 at a doubling, but also correct off the diagonal), `asymmetric` (the source's
own coordinates keep theirs, copies and new ones are zero, SPARKLING; masked layers have none, MSG). New coordinates,
fresh layers and the output projections of silent layers start at zero.
"""

from collections.abc import Mapping
from functools import partial

import numpy as np
import torch
from torch import Tensor

from growbench.errors import GrowBenchError, nearest
from growbench.families import Component, Role
from growbench.growth.component import along, feeds_tied_head, gather, grown_axes, over_residual
from growbench.growth.experts import mixture_moments
from growbench.growth.operator import Operator
from growbench.growth.transfer import Read, blended, donor_rows, fresh, join, origins, places, replace_rows, split, stem
from growbench.plan.plan import POLICIES, Policy

Moments = Mapping[str, Mapping[str, Tensor]]
POWERS = {"exp_avg": 1, "exp_avg_sq": 2}


def grow_moments(
    operator: Operator,
    moments: Moments,
    source_roles: Mapping[str, Role],
    target_roles: Mapping[str, Role],
    policy: Policy,
) -> dict[str, dict[str, Tensor]]:
    """Return the target's optimizer state by parameter name: exp_avg and exp_avg_sq in the target's shapes, and step.

    moments: the source's, by parameter name. A parameter without moments in the source's optimizer has none afterwards.
    Raises GrowBenchError for an unknown policy.
    """
    if policy not in POLICIES:
        raise GrowBenchError(f"optimizer policy '{policy}' is not known; {nearest(policy, POLICIES)}")
    if policy == "reset":
        return {}
    if operator.mixing is not None:
        return mixture_moments(operator, moments, target_roles, policy, POWERS)
    grown: dict[str, dict[str, Tensor]] = {}
    named = places(operator, source_roles)
    for key, power in POWERS.items():
        source = {name: state[key] for name, state in moments.items() if key in state}
        met = {place for place, name in named.items() if name in source}
        wanted = {
            name: role
            for name, role in target_roles.items()
            if _needs(operator, name, role) <= met and not (policy == "asymmetric" and _masked(operator, role))
        }
        for name, role, origin, read in origins(operator, source, source_roles, wanted):
            made = blended(origin, role, partial(_grown, operator, name, role, read, power, policy))
            new = fresh(origin, role) or (origin.silent and operator.silences(role.kind))
            grown.setdefault(name, {})[key] = torch.zeros_like(made) if new else made.clone()
    steps = {key: moments[name]["step"] for (key, _), name in named.items() if "step" in moments.get(name, {})}
    for name, state in grown.items():
        state["step"] = steps[stem(name, target_roles[name])].clone()
    return grown


def _masked(operator: Operator, role: Role) -> bool:
    return role.layer is not None and operator.depth[role.layer].masked


def _needs(operator: Operator, name: str, role: Role) -> set[tuple[str, int | None]]:
    """Return (name without its layer, source layer) of every source parameter that a target parameter is made of."""
    if role.layer is None:
        return {(stem(name, role), None)}
    layers = {s for s, _ in operator.depth[role.layer].sources}
    donors = any(donor_rows(operator, role, component, s) is not None for component in role.components for s in layers)
    above = {s + 1 for s in layers if donors and s + 1 < operator.source.layers}
    return {(stem(name, role), s) for s in layers | above}


def _grown(
    operator: Operator, name: str, role: Role, read: Read, power: int, policy: Policy, layer: int | None
) -> Tensor:
    components = []
    for number, (component, moment) in enumerate(
        zip(role.components, split(read(layer), role, operator.source), strict=True)
    ):
        wide = _widened(operator, name, component, layer, moment, power, policy)
        donors = donor_rows(operator, role, component, layer) if policy != "asymmetric" else None
        if donors is not None and layer is not None and layer + 1 < operator.source.layers:
            above = split(read(layer + 1), role, operator.source)[number]
            wide = replace_rows(
                component, donors, wide, _widened(operator, name, component, layer + 1, above, power, policy)
            )
        components.append(wide)
    return join(components, role, operator.target)


def _widened(
    operator: Operator, name: str, component: Component, layer: int | None, moment: Tensor, power: int, policy: Policy
) -> Tensor:
    wide = moment
    for dim, axis, space in grown_axes(operator, component, layer):
        if not space.is_identity:
            wide = gather(wide, dim, space)
        factors = np.where(space.index >= 0, 1.0, 0.0)
        if policy == "asymmetric":
            factors = np.where(space.copy == 0, factors, 0.0)
        if policy == "scaled" and axis.verb != "reads" and not feeds_tied_head(operator, name):
            factors = factors * np.abs(space.read) ** power
        if (factors != 1).any():
            wide = wide * along(factors, dim, wide)
    return wide * _correction(operator, name, component) ** power if policy == "scaled" else wide


def _correction(operator: Operator, name: str, component: Component) -> float:
    """Return the inverse of the factor that the tensor was multiplied by; its gradient is multiplied by the inverse."""
    if component.kind == "q":
        return 1.0 / operator.widening.query
    if component.kind == "embedding":
        return 1.0 / operator.embedding
    if over_residual(component) and name.endswith("weight"):
        tied = operator.embedding if feeds_tied_head(operator, name) else 1.0
        return tied * float(operator.widening.statistics.get(operator.family.norm, 1.0) ** -0.5)
    return 1.0

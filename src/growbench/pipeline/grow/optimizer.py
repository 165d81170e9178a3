"""Adam's moments in safetensors, by the names of the parameters: saved, loaded, and grown with the model.

The names are those of `get_optimizer_state_dict(..., flatten_optimizer_state_dict=True)` of torch.distributed.checkpoint, whose
HuggingFaceStorageWriter and HuggingFaceStorageReader write and read the same files:

    state.<parameter>.exp_avg, state.<parameter>.exp_avg_sq    in the parameter's shape
    state.<parameter>.step                                     one number

Nothing is unpickled. docs/GROW.md shows the ways from and to transformers.Trainer and torch.distributed.checkpoint.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from growbench.errors import GrowBenchError
from growbench.families import Role
from growbench.growth.experts import made_of
from growbench.growth.moments import POWERS, grow_moments
from growbench.growth.operator import Operator
from growbench.growth.transfer import places, stem
from growbench.pipeline.grow.files import STORED, name_of
from growbench.pipeline.grow.shards import Layout, Slot, divided, write
from growbench.pipeline.grow.tensors import WRAPPERS, Stored, listed, spellings
from growbench.plan.plan import Policy

FOLDER, STEM = "optimizer", "optimizer"
ENTRY = re.compile(r"state\.(.+)\.(exp_avg|exp_avg_sq|step)")
LIMIT = 5 * 10**9  # bytes of tensors of a file


class Moments(Mapping[str, Mapping[str, Tensor]]):
    """The moments in a folder of safetensors files, by the names of a model's parameters. Each is read when it is asked for.

    folder: the folder.
    entries: the stored tensors of each parameter, by their keys (exp_avg, exp_avg_sq, step).
    unknown: stored names that are not moments of a parameter, such as `param_groups...`.
    """

    def __init__(self, folder: Path, model: Any, aliases: Mapping[str, str]) -> None:
        self.folder = folder
        self.entries: dict[str, dict[str, Stored]] = {}
        self.unknown: list[str] = []
        shapes = {name: tuple(parameter.shape) for name, parameter in model.named_parameters()}
        prefix = f"{getattr(model, 'base_model_prefix', '')}."
        for stored in listed(_files(folder)):
            match = ENTRY.fullmatch(stored.key)
            bare = WRAPPERS.sub("", match[1]) if match else ""
            name = next((aliases[s] for s in spellings(bare, prefix) if s in aliases), None)
            if match is None or name is None:
                self.unknown.append(stored.key)
                continue
            if match[2] in POWERS and stored.shape != shapes[name]:
                raise GrowBenchError(
                    f"{folder}: {stored.key} is {list(stored.shape)}, but the parameter is {list(shapes[name])}; use the moments "
                    "of this model"
                )
            if stored.code not in STORED:
                raise GrowBenchError(f"{folder}: {stored.key} is {stored.code}; use one of {', '.join(STORED)}")
            self.entries.setdefault(name, {})[match[2]] = stored
        if not self.entries:
            raise GrowBenchError(
                f"{folder}: has no moments of this model; name them as docs/GROW.md says, such as state.<parameter>.exp_avg"
            )
        for name, entry in self.entries.items():
            if lacking := [key for key in (*POWERS, "step") if key not in entry]:
                raise GrowBenchError(f"{folder}: state.{name}.{lacking[0]} is missing; add it, or remove state.{name}")

    def __getitem__(self, name: str) -> Mapping[str, Tensor]:
        return {key: stored.read() for key, stored in self.entries[name].items()}

    def __iter__(self) -> Iterator[str]:
        return iter(self.entries)

    def __len__(self) -> int:
        return len(self.entries)


def _files(folder: Path) -> list[Path]:
    """Return a folder's safetensors files. Raises GrowBenchError if there are none."""
    paths = sorted(folder.glob("*.safetensors"))
    if not paths:
        raise GrowBenchError(
            f"{folder}: has no safetensors files with moments; docs/GROW.md shows how they are written without pickles"
        )
    return paths


@dataclass(frozen=True, slots=True)
class Grown:
    """The moments of a target, which are made when they are written.

    operator, moments, roles, grown_roles, policy: as in grow_moments.
    names: the target's parameters that have moments.
    places: the source's parameters by stem and layer (growth/transfer.py).
    """

    operator: Operator
    moments: Moments
    roles: Mapping[str, Role]
    grown_roles: Mapping[str, Role]
    policy: Policy
    names: tuple[str, ...]
    places: Mapping[tuple[str, int | None], str]

    def layout(self, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Layout]:
        """Return the files of the target's moments, and the tensors of each. shapes: of the target's parameters."""
        slots = {}
        for name in self.names:
            entry = self.moments.entries[self._sources(name)[0]]
            for key, stored in entry.items():
                slots[f"state.{name}.{key}"] = Slot(
                    shapes[name] if key in POWERS else stored.shape, STORED[stored.code]
                )
        return divided(slots, LIMIT, STEM)

    def tensors(self) -> Iterator[tuple[str, Tensor]]:
        """Yield the tensors of `layout`, in its order."""
        for name in self.names:
            sources = self._sources(name)
            given = {source: {key: _wide(t) for key, t in self.moments[source].items()} for source in sources}
            roles = {source: self.roles[source] for source in sources}
            made = grow_moments(self.operator, given, roles, {name: self.grown_roles[name]}, self.policy)[name]
            for key in self.moments.entries[sources[0]]:
                yield f"state.{name}.{key}", made[key]

    def _sources(self, name: str) -> list[str]:
        """Return the source's parameters that a parameter may be made of: of the same name, in its layers or right above."""
        if self.operator.mixing is not None:
            return made_of(name, self.grown_roles[name])
        role, layers = self.grown_roles[name], set[int | None]([None])
        if role.layer is not None:
            layers = {layer + above for layer, _ in self.operator.depth[role.layer].sources for above in (0, 1)}
        found = {self.places.get((stem(name, role), layer)) for layer in layers} - {None}
        return [source for source in self.roles if source in found]

    def write(self, folder: Path, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Any]:
        """Write the target's moments, and return what the report says of them."""
        (folder / FOLDER).mkdir()
        with torch.inference_mode():
            size = write(folder / FOLDER, self.layout(shapes), self.tensors())
        return {
            "directory": str(self.moments.folder),
            "policy": self.policy,
            "parameters": len(self.names),
            "without_moments": sorted(self.grown_roles.keys() - set(self.names)),
            "left_out": self.moments.unknown,
            "bytes": size,
        }


def _wide(tensor: Tensor) -> Tensor:
    return tensor if tensor.dtype in (torch.float32, torch.float64) else tensor.float()


def grown(
    operator: Operator, moments: Moments, roles: Mapping[str, Role], grown_roles: Mapping[str, Role], policy: Policy
) -> Grown:
    """Return the moments of a target. Raises GrowBenchError if a part of a model's layers has moments and another has none."""
    has: dict[str, set[bool]] = {}
    for name, role in roles.items():
        has.setdefault(stem(name, role), set()).add(name in moments)
    if mixed := [name for name, kinds in has.items() if len(kinds) > 1]:
        raise GrowBenchError(
            f"{moments.folder}: {mixed[0]} has moments in some layers and none in others; give them for all layers, or for none"
        )
    if operator.mixing is None:
        names = [name for name, role in grown_roles.items() if True in has.get(stem(name, role), ())]
    else:
        parts = {name: made_of(name, role) for name, role in grown_roles.items()}
        names = [name for name, found in parts.items() if found and all(part in moments for part in found)]
    return Grown(operator, moments, roles, grown_roles, policy, tuple(names), places(operator, roles))


def save(model: nn.Module, optimizer: torch.optim.Optimizer, folder: Path) -> None:
    """Write an Adam optimizer's moments, one tensor at a time, to be grown with the model or loaded again.

    Raises GrowBenchError for an optimizer without exp_avg and exp_avg_sq, and for parameters that the model does not have.
    """
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    found: dict[str, Tensor] = {}
    for parameter, state in optimizer.state.items():
        if id(parameter) not in names:
            raise GrowBenchError("optimizer: it has parameters that are not the model's; save both of one training")
        if not POWERS.keys() <= state.keys():
            raise GrowBenchError(f"optimizer: {type(optimizer).__name__} has no {' and '.join(POWERS)}; use an Adam")
        for key in (*POWERS, "step"):
            found[f"state.{WRAPPERS.sub('', names[id(parameter)])}.{key}"] = torch.as_tensor(state[key])
    folder.mkdir(parents=True, exist_ok=True)
    layout = {key: Slot(tuple(tensor.shape), _storable(key, tensor)) for key, tensor in found.items()}
    write(folder, divided(layout, LIMIT, STEM), ((key, tensor.detach().cpu()) for key, tensor in found.items()))


def _storable(key: str, tensor: Tensor) -> torch.dtype:
    dtype = tensor.dtype if tensor.is_floating_point() else torch.float32
    if dtype not in STORED.values():
        raise GrowBenchError(f"optimizer: {key} is {name_of(dtype)}; use an optimizer with moments of 16 bits or more")
    return dtype


def load(model: Any, optimizer: torch.optim.Optimizer, folder: Path) -> list[str]:
    """Give an Adam optimizer of a stock model the moments of a folder. Return the parameters that have none there.

    Raises GrowBenchError if the folder has no moments of this model.
    """
    inner = getattr(model, "module", model)
    known = {id(p): name for name, p in inner.named_parameters()}
    aliases = {WRAPPERS.sub("", a): known[id(p)] for a, p in inner.named_parameters(remove_duplicate=False)}
    moments = Moments(folder, inner, aliases)
    held = {id(parameter) for group in optimizer.param_groups for parameter in group["params"]}
    without = []
    for name, parameter in inner.named_parameters():
        if id(parameter) not in held:
            continue
        if name not in moments:
            without.append(name)
            continue
        state = moments[name]
        optimizer.state[parameter] = {"step": state["step"].clone().float()} | {
            key: state[key].to(parameter.device, copy=True) for key in POWERS
        }
    return without

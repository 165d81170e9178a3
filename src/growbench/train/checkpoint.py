"""Checkpoints: safetensors and JSON with their SHA-256, complete or absent; nothing is pickled.

A run keeps its last two resumable checkpoints, state and state.old. They hold weights, moments, the run's position, its
curve and its ledger. Random numbers and the order of the data follow from the seed and the step. One process writes its
tensors into one file; of several, each writes a file with its share (train/processes/saver.py). Any number of processes reads
either.
"""

import json
import logging
import os
import shutil
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
import torch.distributed.checkpoint as dcp
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.distributed.checkpoint import HuggingFaceStorageReader
from torch.distributed.checkpoint.metadata import TensorStorageMetadata

from growbench.records import identity
from growbench.records.identity import Identity
from growbench.runtime import durable
from growbench.train.processes.ranks import ALONE, Ranks
from growbench.train.processes.shard import like, local, room

log = logging.getLogger(__name__)
TENSORS, STATE = "tensors.safetensors", "state.json"
WEIGHTS, MOMENTS = "model/", ("step", "exp_avg", "exp_avg_sq")  # what the keys of tensors begin with


def held(model: nn.Module, opt: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Return weights and moments as they are, not copies, keyed by parameter name."""
    tensors = {}
    for name, parameter in model.named_parameters():
        tensors[f"{WEIGHTS}{name}"] = parameter.detach()
        for key, value in opt.state.get(parameter, {}).items():
            tensors[f"{key}/{name}"] = value.detach()
    return tensors


def snapshot(model: nn.Module, opt: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Return copies of weights and moments, keyed by parameter name."""
    return {name: tensor.clone() for name, tensor in held(model, opt).items()}


def restore(model: nn.Module, opt: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Load a snapshot into a model and its optimizer."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(like(tensors[f"{WEIGHTS}{name}"], parameter))
            _give(opt, parameter, {key: like(tensor, parameter) for key, tensor in _moments(tensors, name)})


def _moments(tensors: Mapping[str, Tensor], name: str) -> Iterator[tuple[str, Tensor]]:
    yield from ((key, tensors[f"{key}/{name}"]) for key in MOMENTS if f"{key}/{name}" in tensors)


def _give(opt: torch.optim.Optimizer, parameter: Tensor, state: dict[str, Tensor]) -> None:
    opt.state.pop(parameter, None)
    if state:
        opt.state[parameter] = state


def infinite(tensors: Mapping[str, Tensor], ranks: Ranks = ALONE) -> str | None:
    """Return the name of a tensor that holds a value that is not finite; None if there is none.

    ranks: the processes that have the tensors, or a part of each. Every one must call this.
    """
    floats = {name: local(tensor) for name, tensor in tensors.items() if tensor.is_floating_point()}
    broken = (not bool(torch.isfinite(tensor).all()) for tensor in floats.values())
    return next((name for name, found in zip(floats, ranks.total(list(broken)), strict=True) if found), None)


def save_state(folder: Path, tensors: Mapping[str, Tensor], state: Mapping[str, Any]) -> None:
    """Write a resumable checkpoint, completely or not at all; the previous one is kept."""
    with durable.folder(folder, keep=True) as made:
        save_file({k: v.contiguous() for k, v in tensors.items()}, made / TENSORS)
        (made / STATE).write_text(json.dumps(state), encoding="utf-8")


def load_state(folder: Path) -> dict[str, Any] | None:
    """Return what the last complete checkpoint holds beside its tensors; None if there is none.

    A damaged one is reported in one warning and moved to <folder>.damaged, and the previous one is used.
    """
    durable.clear(folder)
    old, faults = durable.older(folder), []
    for place in (folder, old):
        if place.exists():
            if not (found := durable.damage(place)):
                break
            faults.append(found)
            _set_aside(place, damaged(folder))
    if not folder.exists() and old.exists():
        os.replace(old, folder)
    if faults:
        instead = f"the previous checkpoint, {old}, is used" if folder.exists() else "the run starts over"
        log.warning("%s; %s", "; ".join(faults), instead)
    return state(folder)


def state(folder: Path) -> dict[str, Any] | None:
    """Return the same of a checkpoint that another process has checked."""
    path = folder / STATE
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def load_tensors(folder: Path, model: nn.Module, opt: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Load the weights and moments of a checkpoint in place; return its other tensors, each split as its parameter is.

    A process reads its own part alone, however many processes wrote the checkpoint.
    """
    reader = HuggingFaceStorageReader(str(folder))
    parameters = dict(model.named_parameters())
    tensors = {f"{WEIGHTS}{name}": parameter.detach() for name, parameter in parameters.items()}
    for key, found in reader.read_metadata().state_dict_metadata.items():
        assert isinstance(found, TensorStorageMetadata)
        if key not in tensors:
            tensors[key] = room(found.size, found.properties.dtype, parameters[key.rpartition("/")[2]])
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="torch.distributed is disabled")
        dcp.load(tensors, storage_reader=reader, no_dist=True)
    for name, parameter in parameters.items():
        _give(opt, parameter, dict(_moments(tensors, name)))
    return {key: tensor for key, tensor in tensors.items() if key.partition("/")[2] not in parameters}


def _set_aside(place: Path, aside: Path) -> None:
    """Move a checkpoint out of the way."""
    shutil.rmtree(aside, ignore_errors=True)
    os.replace(place, aside)


def step_back(folder: Path) -> bool:
    """Drop the last checkpoint for the previous one; return whether there is one."""
    old = durable.older(folder)
    if not old.exists():
        return False
    shutil.rmtree(folder, ignore_errors=True)
    os.replace(old, folder)
    return True


def forget(folder: Path) -> None:
    """Remove all checkpoints of a run."""
    for place in (durable.older(folder), damaged(folder), folder):
        shutil.rmtree(place, ignore_errors=True)


def damaged(folder: Path) -> Path:
    """Return where a damaged checkpoint is moved to."""
    return folder.with_name(f"{folder.name}.damaged")


def save_model(folder: Path, model: Any, made_from: Identity) -> None:
    """Write a Hugging Face directory with its identity, completely or not at all."""
    with durable.folder(folder) as made:
        model.save_pretrained(made)
        (made / identity.FILE).write_text(json.dumps(made_from, indent=1) + "\n", encoding="utf-8")

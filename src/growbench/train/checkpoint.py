"""Checkpoints: safetensors and JSON with their SHA-256, complete or absent; nothing is pickled.

A run keeps its last two resumable checkpoints, state and state.old. They hold weights, moments, the run's position, its
curve and its ledger. Random numbers and the order of the data follow from the seed and the step.
"""

import json
import logging
import os
import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from growbench.records import identity
from growbench.records.identity import Identity
from growbench.runtime import durable
from growbench.train.processes.shard import like

log = logging.getLogger(__name__)
TENSORS, STATE = "tensors.safetensors", "state.json"


def snapshot(model: nn.Module, opt: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Return copies of weights and moments, keyed by parameter name."""
    tensors = {}
    for name, parameter in model.named_parameters():
        tensors[f"model/{name}"] = parameter.detach().clone()
        for key, value in opt.state.get(parameter, {}).items():
            tensors[f"{key}/{name}"] = value.detach().clone()
    return tensors


def restore(model: nn.Module, opt: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    """Load a snapshot into a model and its optimizer."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(like(tensors[f"model/{name}"], parameter))
            keys = [k for k in ("step", "exp_avg", "exp_avg_sq") if f"{k}/{name}" in tensors]
            if keys:
                opt.state[parameter] = {k: like(tensors[f"{k}/{name}"], parameter) for k in keys}
            else:
                opt.state.pop(parameter, None)


def infinite(tensors: dict[str, Tensor]) -> str | None:
    """Return the name of a tensor that holds a value that is not finite; None if there is none."""
    floats = ((name, tensor) for name, tensor in tensors.items() if tensor.is_floating_point())
    return next((name for name, tensor in floats if not bool(torch.isfinite(tensor).all())), None)


def save_state(folder: Path, tensors: dict[str, Tensor], state: dict[str, Any]) -> None:
    """Write a resumable checkpoint, completely or not at all; the previous one is kept."""
    with durable.folder(folder, keep=True) as made:
        save_file({k: v.contiguous() for k, v in tensors.items()}, made / TENSORS)
        (made / STATE).write_text(json.dumps(state), encoding="utf-8")


def load_state(folder: Path) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
    """Read the last complete checkpoint; None if there is none.

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
    if not folder.exists():
        return None
    return load_file(folder / TENSORS), json.loads((folder / STATE).read_text(encoding="utf-8"))


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

"""Checkpoints: safetensors + JSON, written to a temporary folder and renamed; nothing is pickled."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from growbench.errors import GrowBenchError
from growbench.train.shard import like


def optimizer(model: nn.Module, *, lr: float, betas: tuple[float, float], weight_decay: float) -> torch.optim.AdamW:
    """AdamW over the trainable parameters; biases, norms and other vectors are not decayed."""
    trainable = [(n, p) for n, p in model.named_parameters() if p.requires_grad]
    if not trainable:
        raise GrowBenchError("plan: a stage with nothing trainable; leave at least one parameter free")
    groups = [
        {"params": [p for _, p in trainable if p.dim() > 1], "weight_decay": weight_decay},
        {"params": [p for _, p in trainable if p.dim() <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=lr, betas=betas, eps=1e-8, fused=True)


def snapshot(model: nn.Module, opt: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Copy weights and moments, keyed by parameter name."""
    tensors = {}
    for name, parameter in model.named_parameters():
        tensors[f"model/{name}"] = parameter.detach().clone()
        for key, value in opt.state.get(parameter, {}).items():
            tensors[f"{key}/{name}"] = value.detach().clone()
    return tensors


def restore(model: nn.Module, opt: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    """Put a snapshot back into a model and its optimizer."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(like(tensors[f"model/{name}"], parameter))
            keys = [k for k in ("step", "exp_avg", "exp_avg_sq") if f"{k}/{name}" in tensors]
            if keys:
                opt.state[parameter] = {k: like(tensors[f"{k}/{name}"], parameter) for k in keys}
            else:
                opt.state.pop(parameter, None)


def save_state(folder: Path, tensors: dict[str, Tensor], state: dict[str, Any]) -> None:
    """Write a resumable checkpoint; an interrupted write leaves the one before."""
    temporary = folder.with_name(f"{folder.name}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    save_file({k: v.contiguous() for k, v in tensors.items()}, temporary / "tensors.safetensors")
    (temporary / "state.json").write_text(json.dumps(state), encoding="utf-8")
    _swap(temporary, folder)


def load_state(folder: Path) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
    """Read a resumable checkpoint; None when there is none."""
    old = folder.with_name(f"{folder.name}.old")
    for place in (folder, old):
        if (place / "state.json").exists():
            return load_file(place / "tensors.safetensors"), json.loads(
                (place / "state.json").read_text(encoding="utf-8")
            )
    return None


def save_model(folder: Path, model: Any) -> None:
    """Write a Hugging Face directory, whole or not at all."""
    temporary = folder.with_name(f"{folder.name}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    model.save_pretrained(temporary)
    _swap(temporary, folder)


def _swap(temporary: Path, folder: Path) -> None:
    old = folder.with_name(f"{folder.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        os.replace(folder, old)
    os.replace(temporary, folder)
    shutil.rmtree(old, ignore_errors=True)

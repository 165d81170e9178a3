"""Refuse tensors that are missing, and tensors without which the model would be another one. No remedy fills weights in."""

import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from growbench.errors import GrowBenchError

LAYER = re.compile(r"(?:^|\.)(?:layers?|h|blocks?)\.(\d+)\.")


def refuse(folder: Path, model: Any, keys_of: Mapping[str, list[str]], stored: Collection[str]) -> None:
    """Raise GrowBenchError if parameters have no tensor, with what is likely to be wrong.

    keys_of: the stored names of each parameter. stored: the names of all stored tensors.
    """
    names = [name for name, keys in keys_of.items() if not keys]
    if not names:
        return
    others = f" ({len(names) - 1} more are)" if len(names) > 1 else ""
    raise GrowBenchError(f"{folder}: tensor {names[0]} is missing{others}; {_remedy(model, names, keys_of, stored)}")


def _remedy(model: Any, names: list[str], keys_of: Mapping[str, list[str]], stored: Collection[str]) -> str:
    kind = type(model).__name__
    if not any(keys_of.values()) and (prefix := _foreign_prefix(keys_of, stored)):
        return f"all names begin with '{prefix}', which {kind} does not have; rename the tensors without it"
    if names == [_head_of_table_s_shape(model)]:
        return "if the head shares the token table, set tie_word_embeddings to true in config.json; else add the tensor"
    base = f"{model.base_model_prefix}."
    if not any(name.startswith(base) for name in names) and len(names) < len(keys_of) and model.base_model is not model:
        body = type(model.base_model).__name__
        return f'add it, or set architectures to ["{body}"] in config.json if the head of {kind} was never trained'
    return f"use a directory that holds every tensor of {kind}"


def _foreign_prefix(keys_of: Mapping[str, list[str]], stored: Collection[str]) -> str | None:
    """Return what all stored names begin with if they are parameters' names without it; None if they are not."""
    first = min(stored, default="")
    known = list(keys_of)
    for match in re.finditer(r"\.", first):
        prefix = first[: match.end()]
        if not all(name.startswith(prefix) for name in stored):
            return None
        bare = {name.removeprefix(prefix) for name in stored}
        if sum(any(name == end or name.endswith(f".{end}") for end in bare) for name in known) > len(known) // 2:
            return prefix
    return None


def _head_of_table_s_shape(model: Any) -> str | None:
    """Return the name of the output matrix if it is not the token table, but has its shape; None otherwise."""
    head, table = model.get_output_embeddings(), model.get_input_embeddings()
    if head is None or head.weight is table.weight or head.weight.shape != table.weight.shape:
        return None
    return next((name for name, parameter in model.named_parameters() if parameter is head.weight), None)


def refuse_left_out(folder: Path, model: Any, left_out: Collection[str], layers: int) -> None:
    """Raise GrowBenchError if the model of config.json would be another one without a tensor that it has no place for.

    Tensors of heads that the class does not have may be left out. A tensor in a layer may not, and no part of a module that
    the model has.
    """
    modules = {name for name, module in model.named_modules() if any(True for _ in module.parameters(recurse=False))}
    base = f"{model.base_model_prefix}."
    for name in left_out:
        if match := LAYER.search(name):
            where = f"belongs to layer {match[1]}"
        elif {(place := name.rpartition(".")[0]), base + place, place.removeprefix(base)} & modules:
            where = f"belongs to {place}"
        else:
            continue
        raise GrowBenchError(
            f"{folder}: tensor {name} {where}, but the {type(model).__name__} of config.json ({layers} layers) has no place for "
            "it; correct config.json, or remove the tensor if it is not part of the model"
        )

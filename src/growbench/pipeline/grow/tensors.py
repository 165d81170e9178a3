"""The tensors of a Hugging Face directory, by their stock names, read one at a time from safetensors."""

import copy
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from growbench.errors import GrowBenchError
from growbench.families import Family, role_of
from growbench.pipeline.grow.files import INDEX, STORED, WEIGHTS, read_json

PICKLED = ("*.bin", "*.pt", "*.pth", "*.ckpt")


def shards(folder: Path) -> list[Path]:
    """Return the directory's safetensors files. Raises GrowBenchError if there are none, or only pickled weights."""
    if (folder / WEIGHTS).is_file():
        return [folder / WEIGHTS]
    if (folder / INDEX).is_file():
        listed = read_json(folder / INDEX).get("weight_map")
        names = sorted({str(name) for name in listed.values()}) if isinstance(listed, dict) else []
        for name in names:
            if Path(name).name != name or not (folder / name).is_file():
                raise GrowBenchError(
                    f"{folder / INDEX}: there is no file {name} beside it; download the directory again"
                )
        if names:
            return [folder / name for name in names]
    pickled = sorted(path.name for pattern in PICKLED for path in folder.glob(pattern))
    if pickled:
        raise GrowBenchError(
            f"{folder}: has only pickled weights ({', '.join(pickled[:3])}), which are never loaded; "
            "convert them with save_pretrained(safe_serialization=True)"
        )
    raise GrowBenchError(f"{folder}: has no {WEIGHTS}; use a directory that save_pretrained wrote")


def skeleton(model_class: Any, config: Any) -> nn.Module:
    """Return a stock model without storage. The config is not changed: building writes its kind of attention into it."""
    with torch.device("meta"):
        model = model_class(copy.deepcopy(config))
    model.tie_weights()
    return model


def stored_names(model: Any) -> dict[str, str]:
    """Return the name under which save_pretrained stores each parameter, tied ones included."""
    names = [name for name, _ in model.named_parameters(remove_duplicate=False)]
    try:
        from transformers.core_model_loading import revert_weight_conversion

        stored = revert_weight_conversion(model, {name: torch.tensor([i]) for i, name in enumerate(names)})
        return {names[int(number)]: _modern(stored_name) for stored_name, number in stored.items()}
    except (ImportError, KeyError, ValueError, RuntimeError):
        return {name: name for name in names}


def _modern(name: str) -> str:
    """Undo the TensorFlow names of norms, to which transformers 5.0 reverts a name but which it does not write."""
    return name.replace("LayerNorm.gamma", "LayerNorm.weight").replace("LayerNorm.beta", "LayerNorm.bias")


class Checkpoint(Mapping[str, Tensor]):
    """The parameters of a directory by their stock names. Each is read, and cast to `compute`, when it is asked for.

    Raises GrowBenchError at once for a tensor that is missing, or whose shape or dtype does not fit the config.

    folder: the directory.
    compute: dtype of the tensors that are returned; None for their stored dtype.
    files: open safetensors files, by path.
    where: the file of each stored tensor.
    keys_of: the stored tensors of each parameter; more than one if it is tied.
    left_out: stored tensors that the model's class has no place for.
    widest: the widest stored dtype.
    """

    def __init__(self, folder: Path, model: Any, compute: torch.dtype | None = None) -> None:
        self.folder, self.compute = folder, compute
        self.files = {path: self._open(path) for path in shards(folder)}
        self.where = {key: path for path, file in self.files.items() for key in file.keys()}  # noqa: SIM118
        self.keys_of = self._match(model)
        self._refuse_missing(model)
        self.left_out = self._unknown(model)
        dtypes = {self._check(name, parameter) for name, parameter in model.named_parameters()}
        if not dtypes:
            raise GrowBenchError(
                f"{folder}/config.json: architectures is {type(model).__name__}, which has no tensors; use a model's class"
            )
        self.widest = max(dtypes, key=lambda dtype: (dtype.itemsize, dtype == torch.bfloat16))

    @staticmethod
    def _open(path: Path) -> Any:
        try:
            return safe_open(path, framework="pt", device="cpu")
        except (SafetensorError, OSError) as error:
            raise GrowBenchError(f"{path}: not a complete safetensors file; download it again") from error

    def _match(self, model: Any) -> dict[str, list[str]]:
        """Return the stored keys of each parameter: its name, the name that save_pretrained uses, or a tied one's."""
        stored, prefix = stored_names(model), f"{model.base_model_prefix}."
        known = {id(p): name for name, p in model.named_parameters()}
        found: dict[str, list[str]] = {name: [] for name in known.values()}
        for alias, parameter in model.named_parameters(remove_duplicate=False):
            spellings = (s for name in (alias, stored[alias]) for s in _spellings(name, prefix))
            if key := next((s for s in spellings if s in self.where), None):
                found[known[id(parameter)]].append(key)
        return found

    def _refuse_missing(self, model: Any) -> None:
        for name, keys in self.keys_of.items():
            if not keys:
                raise GrowBenchError(
                    f"{self.folder}: tensor {name} is missing; save it again with {type(model).__name__}.from_pretrained "
                    "and save_pretrained"
                )

    def _unknown(self, model: Any) -> list[str]:
        """Return the tensors that the stock class has no place for; from_pretrained would drop them too."""
        used = {key for keys in self.keys_of.values() for key in keys}
        ignored = [*(model._keys_to_ignore_on_load_unexpected or ()), r"rotary_emb\.inv_freq$", r"(^|\.)position_ids$"]
        return sorted(k for k in self.where if k not in used and not any(re.search(pattern, k) for pattern in ignored))

    def _check(self, name: str, parameter: Tensor) -> torch.dtype:
        for key in self.keys_of[name]:
            piece = self.files[self.where[key]].get_slice(key)
            shape, code = list(piece.get_shape()), str(piece.get_dtype())
            if shape != list(parameter.shape):
                raise GrowBenchError(
                    f"{self.folder}: tensor {key} is {shape}, but config.json says {list(parameter.shape)}; correct one of them"
                )
            if code not in STORED:
                raise GrowBenchError(f"{self.folder}: tensor {key} is {code}; use one of {', '.join(STORED)}")
        first, *others = self.keys_of[name]
        if any(not torch.equal(self._read(first), self._read(other)) for other in others):
            raise GrowBenchError(
                f"{self.folder}: tensors {first} and {others[0]} differ but are tied; set tie_word_embeddings to false"
            )
        return STORED[code]

    def close(self) -> None:
        """Close the files, so that the memory of what was read can be freed."""
        self.files.clear()

    def _read(self, key: str) -> Tensor:
        return self.files[self.where[key]].get_tensor(key)

    def __getitem__(self, name: str) -> Tensor:
        tensor = self._read(self.keys_of[name][0])
        return tensor if self.compute is None else tensor.to(self.compute)

    def __iter__(self) -> Iterator[str]:
        return iter(self.keys_of)

    def __len__(self) -> int:
        return len(self.keys_of)


def refuse_layers_left_out(family: Family, config: Any, source: Checkpoint) -> None:
    """Raise GrowBenchError if a tensor of a layer has no place in the model: without it, its function is another one.

    Tensors outside the layers may be left out: they belong to other heads.
    """
    table = family.table(config)
    for name in source.left_out:
        if (found := role_of(table, name)) is not None and found.layer is not None:
            raise GrowBenchError(
                f"{source.folder}: tensor {name} belongs to layer {found.layer}, but the model of config.json "
                f"({config.num_hidden_layers} layers) has no place for it; correct config.json, or remove the tensor"
            )


def _spellings(name: str, prefix: str) -> Iterator[str]:
    """Yield the names under which a tensor may be stored: with or without the base model's prefix, and TensorFlow's."""
    for spelling in (name, name.removeprefix(prefix), prefix + name):
        yield spelling
        yield re.sub(r"LayerNorm\.weight$", "LayerNorm.gamma", re.sub(r"LayerNorm\.bias$", "LayerNorm.beta", spelling))

"""The tensors of a Hugging Face directory, by their stock names, read one at a time from safetensors."""

import copy
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from growbench import families
from growbench.errors import GrowBenchError
from growbench.pipeline.grow import missing
from growbench.pipeline.grow.files import INDEX, STORED, WEIGHTS, read_json

PICKLED = ("*.bin", "*.pt", "*.pth", "*.ckpt")
WRAPPERS = re.compile(r"^(module\.)+|(?<![^.])(_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module)\.")
BUFFERS = re.compile(r"rotary_emb\.inv_freq$|(^|\.)position_ids$|\.masked_bias$")  # that older releases stored
CAUSAL_MASKS = r"\.(attn|attention)\.bias$"  # of older releases, too; they have more than one axis


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
    """Return the name under which save_pretrained stores each parameter; a tied one has that of the tensor it shares."""
    stored = _renamed(model, [name for name, _ in model.named_parameters(remove_duplicate=False)])
    tied = getattr(model, "all_tied_weights_keys", None) or {}
    return stored | {name: stored[shared] for name, shared in tied.items() if name in stored and shared in stored}


def stored_pieces(model: Any) -> dict[str, dict[str, tuple[int, ...]]]:
    """Return name and shape of what files have of each parameter: one tensor, or those of a mixture's experts apart."""
    mixture = families.mixtures().get(model.config.model_type)
    names, found = stored_names(model), {}
    for name, parameter in model.named_parameters():
        apart = dict(mixture.pieces(name, tuple(parameter.shape))) if mixture is not None else {}
        found[name] = apart or {names[name]: tuple(parameter.shape)}
    return found


def _renamed(model: Any, names: list[str]) -> dict[str, str]:
    if model.config.model_type in families.mixtures():  # which takes apart what has three axes; see stored_pieces
        return {name: name for name in names}
    try:
        from transformers.core_model_loading import revert_weight_conversion

        stored = revert_weight_conversion(model, {name: torch.tensor([i]) for i, name in enumerate(names)})
        return {names[int(number)]: _modern(stored_name) for stored_name, number in stored.items()}
    except (ImportError, KeyError, ValueError, RuntimeError):
        return {name: name for name in names}


def _modern(name: str) -> str:
    """Undo the TensorFlow names of norms, to which transformers 5.0 reverts a name but which it does not write."""
    return name.replace("LayerNorm.gamma", "LayerNorm.weight").replace("LayerNorm.beta", "LayerNorm.bias")


@dataclass(frozen=True, slots=True)
class Stored:
    """A tensor in a file: the file, the name there, shape, and the code of its type."""

    path: Path
    key: str
    shape: tuple[int, ...]
    code: str

    def read(self) -> Tensor:
        """Return the tensor. Its file is open, and its memory in use, only as long as the tensor is."""
        with opened(self.path) as file:
            return file.get_tensor(self.key)


@dataclass(frozen=True, slots=True)
class Fused:
    """The tensors of a mixture's experts in files, which a model has as one parameter.

    rows: of each expert, those that are one above the other.
    """

    rows: tuple[tuple["Stored | Fused", ...], ...]
    shape: tuple[int, ...]
    code: str

    def read(self) -> Tensor:
        """Return the parameter."""
        return torch.stack([torch.cat([stored.read() for stored in row]) for row in self.rows])


class Checkpoint(Mapping[str, Tensor]):
    """The parameters of a directory by their stock names. Each is read, and cast to `compute`, when it is asked for.

    Raises GrowBenchError at once for a tensor that is missing, or whose shape or dtype does not fit the config.

    folder: the directory.
    compute: dtype of the tensors that are returned; None for their stored dtype.
    stored: every tensor of the files, by its name there without the names of wrappers.
    keys_of: the stored tensors of each parameter; more than one if it is tied.
    aliases: the parameter's name for each name under which the model has it.
    left_out: stored tensors that the model's class has no place for.
    dtypes: the stored dtype of each parameter.
    wrappers: what was left out of every name, such as `module.`; empty if nothing was.
    """

    def __init__(self, folder: Path, model: Any, compute: torch.dtype | None = None) -> None:
        self.folder, self.compute = folder, compute
        self.wrappers = ""
        self.stored: dict[str, Stored | Fused] = {**self._listed()}
        self._fuse(model)
        known = {id(p): name for name, p in model.named_parameters()}
        self.aliases = {alias: known[id(p)] for alias, p in model.named_parameters(remove_duplicate=False)}
        self.keys_of = self._match(model)
        missing.refuse(folder, model, self.keys_of, list(self.stored))
        self.left_out = self._unknown(model)
        self.dtypes = {name: self._check(name, parameter) for name, parameter in model.named_parameters()}
        if not self.dtypes:
            raise GrowBenchError(
                f"{folder}/config.json: architectures is {type(model).__name__}, which has no tensors; use a model's class"
            )

    def _listed(self) -> dict[str, Stored]:
        """Return every stored tensor, by its name without wrappers."""
        found: dict[str, Stored] = {}
        for stored in listed(shards(self.folder)):
            name = WRAPPERS.sub("", stored.key)
            if name != stored.key:
                self.wrappers = self.wrappers or next(m[0] for m in WRAPPERS.finditer(stored.key))
            if name in found:
                raise GrowBenchError(
                    f"{self.folder}: tensors {found[name].key} and {stored.key} have one name without their wrappers; keep one"
                )
            found[name] = stored
        return found

    def _fuse(self, model: Any) -> None:
        """Put the tensors of a mixture's experts together, under the name of the parameter that they are."""
        if model.config.model_type not in families.mixtures():
            return
        for name, pieces in stored_pieces(model).items():
            shape = tuple(model.get_parameter(name).shape)
            found = [self.stored.pop(key) for key in pieces] if pieces.keys() <= self.stored.keys() else []
            if len(found) == 1:
                self.stored[name] = found[0]
            elif found:
                step = len(found) // shape[0]
                rows = tuple(tuple(found[i : i + step]) for i in range(0, len(found), step))
                self.stored[name] = Fused(rows, shape, found[0].code)

    def _match(self, model: Any) -> dict[str, list[str]]:
        """Return the stored keys of each parameter: its name, the name that save_pretrained uses, or a tied one's."""
        names, prefix = stored_names(model), f"{model.base_model_prefix}."
        found: dict[str, list[str]] = {name: [] for name in self.aliases.values()}
        for alias, name in self.aliases.items():
            candidates = (s for n in (alias, names[alias]) for s in spellings(n, prefix))
            if key := next((s for s in candidates if s in self.stored), None):
                found[name].append(key)
        return found

    def _unknown(self, model: Any) -> list[str]:
        """Return the tensors that the stock class has no place for; from_pretrained would drop them too."""
        used = {key for keys in self.keys_of.values() for key in keys}
        masks = [*(model._keys_to_ignore_on_load_unexpected or ()), CAUSAL_MASKS]

        def ignored(key: str) -> bool:
            mask = len(self.stored[key].shape) != 1 and any(re.search(pattern, key) for pattern in masks)
            return mask or BUFFERS.search(key) is not None

        return sorted(key for key in self.stored if key not in used and not ignored(key))

    def _check(self, name: str, parameter: Tensor) -> torch.dtype:
        for key in self.keys_of[name]:
            stored = self.stored[key]
            if stored.shape != tuple(parameter.shape):
                raise GrowBenchError(
                    f"{self.folder}: tensor {key} is {list(stored.shape)}, but config.json says {list(parameter.shape)}; "
                    "correct one of them"
                )
            if stored.code not in STORED:
                raise GrowBenchError(f"{self.folder}: tensor {key} is {stored.code}; use one of {', '.join(STORED)}")
        first, *others = self.keys_of[name]
        if any(not torch.equal(self._read(first), self._read(other)) for other in others):
            raise GrowBenchError(
                f"{self.folder}: tensors {first} and {others[0]} differ but are tied; set tie_word_embeddings to false"
            )
        return STORED[self.stored[first].code]

    def _read(self, key: str) -> Tensor:
        return self.stored[key].read()

    def __getitem__(self, name: str) -> Tensor:
        tensor = self._read(self.keys_of[name][0])
        return tensor if self.compute is None else tensor.to(self.compute)

    def as_stored(self) -> "Checkpoint":
        """Return the same parameters in the types in which they are stored."""
        other = copy.copy(self)
        other.compute = None
        return other

    def __iter__(self) -> Iterator[str]:
        return iter(self.keys_of)

    def __len__(self) -> int:
        return len(self.keys_of)


def listed(paths: Iterable[Path]) -> Iterator[Stored]:
    """Yield every tensor of some safetensors files."""
    for path in paths:
        with opened(path) as file:
            for key in file.keys():  # noqa: SIM118
                piece = file.get_slice(key)
                yield Stored(path, key, tuple(piece.get_shape()), str(piece.get_dtype()))


def opened(path: Path) -> Any:
    try:
        return safe_open(path, framework="pt", device="cpu")
    except (SafetensorError, OSError) as error:
        raise GrowBenchError(f"{path}: not a complete safetensors file; download it again") from error


def spellings(name: str, prefix: str) -> Iterator[str]:
    """Yield the names under which a tensor may be stored: with or without the base model's prefix, and TensorFlow's."""
    for spelling in (name, name.removeprefix(prefix), prefix + name):
        yield spelling
        yield re.sub(r"LayerNorm\.weight$", "LayerNorm.gamma", re.sub(r"LayerNorm\.bias$", "LayerNorm.beta", spelling))

"""config.json: read the source's with its stock class, and write the target's with every key that the source's had."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from growbench import families
from growbench.errors import GrowBenchError
from growbench.families import Family
from growbench.pipeline.grow import files

IMPLEMENTED = {"position_embedding_type": "absolute"}  # keys of which transformers 5 knows no other value any more
TYPES = ("dtype", "torch_dtype")
UNREAD = ("transformers_version", "_name_or_path", "_commit_hash")  # keys that change nothing
EVERY = ("model_type", "auto_map", "attn_implementation", "output_attentions")  # keys that every stock class knows
Values = dict[str, Any]


def read_config(folder: Path) -> Any:
    """Return the stock config of a directory. Raises GrowBenchError for an unknown family or quantized weights."""
    values = files.read_json(folder / files.CONFIG)
    kind = model_type(folder, values)
    if "quantization_config" in values:
        raise GrowBenchError(
            f"{folder}/config.json: quantized weights cannot be grown; use the model without quantization"
        )
    for key, value in IMPLEMENTED.items():
        if values.get(key) not in (None, value):
            raise GrowBenchError(
                f"{folder}/config.json: {key} is {values[key]!r}, which transformers no longer implements, so that the model "
                f"would be another one; use a model with {value!r}"
            )
    return _stock(folder, values, kind)


def model_type(folder: Path, values: Mapping[str, Any]) -> str:
    """Return the family that a config names in `model_type`, or by a class in `architectures`.

    Raises GrowBenchError if there is none.
    """
    import transformers

    kind = values.get("model_type")
    if kind is None and isinstance(named := values.get("architectures"), list):
        classes: list[Any] = [getattr(transformers, str(name), None) for name in named]
        kind = next((c.config_class.model_type for c in classes if hasattr(c, "config_class")), None)
    if kind is None:
        raise GrowBenchError(
            f"{folder}/config.json: has no model_type; add it, as one of {', '.join(families.names())}"
        )
    families.named(kind, f"{folder}/config.json: model_type")
    return str(kind)


def _stock(folder: Path, values: Mapping[str, Any], kind: str) -> Any:
    """Return the stock config of a family from a config's values; transformers' own reading if they name the family."""
    from transformers import AutoConfig

    try:
        if "model_type" in values:
            return AutoConfig.from_pretrained(folder.resolve(), local_files_only=True, trust_remote_code=False)
        return AutoConfig.for_model(kind).from_dict(dict(values))
    except Exception as error:
        reason = " ".join(str(error).split())[:200]
        raise GrowBenchError(f"{folder}/config.json: transformers refuses it ({reason}); correct it") from error


@dataclass(frozen=True, slots=True)
class Merged:
    """The target's config.json.

    values: what is written.
    kept: keys of the source's file whose values stay.
    changed: other keys of the source's file, with the value before and after.
    added: keys that the source's file does not have.
    unknown: keys that are kept although the stock class does not know them.
    """

    values: Values
    kept: list[str]
    changed: dict[str, list[Any]]
    added: list[str]
    unknown: list[str]

    def to_dict(self) -> dict[str, Any]:
        """Return what the report says of the keys."""
        return {"kept": self.kept, "changed": self.changed, "added": self.added, "unknown": self.unknown}


def merged(
    folder: Path, family: Family, stock: Any, grown: Any, dtype: torch.dtype, *, cast: bool, layers: Sequence[int]
) -> Merged:
    """Return the target's config.json: what save_pretrained would write, and every key of the source's file.

    family: of both models. stock: the source's stock config. grown: the target's. dtype: the type of most of the target's tensors. cast: whether it
    was asked for; if not, the source's key stays. layers: the source layer of each target layer, which lists with one entry
    per layer follow. Raises GrowBenchError if the result would be read as another config than `grown`.
    """
    raw = files.read_json(folder / files.CONFIG)
    before, after = (json.loads(json.dumps(config.to_dict(), default=str)) for config in (stock, grown))
    values = json.loads(grown.to_json_string())
    values["dtype"] = files.name_of(dtype)
    known = {field.name for field in dataclasses.fields(type(stock))} | {*stock.attribute_map, *UNREAD, *TYPES, *EVERY}
    known |= {*family.sizes.values(), *family.per_layer}
    unknown = sorted(key for key in raw if key not in known and key in before)
    for key, value in raw.items():
        name = stock.attribute_map.get(key, key)
        if key in TYPES:
            values[key] = files.name_of(dtype) if cast else value
        elif key in UNREAD or key == "architectures":
            values.setdefault(key, value)
        elif key in unknown:
            values[key] = _followed(value, stock.num_hidden_layers, layers)
        else:
            values[key] = value if before.get(name) == after.get(name) else after.get(name, value)
    if not cast and any(key in raw for key in TYPES) and "dtype" not in raw:
        del values["dtype"]
    _require_same(folder, values, grown, {*UNREAD, *TYPES, *unknown})
    changed = {key: [raw[key], values[key]] for key in raw if values[key] != raw[key] and key not in UNREAD}
    return Merged(
        values=values,
        kept=sorted(raw.keys() - changed.keys()),
        changed=changed,
        added=sorted(values.keys() - raw.keys()),
        unknown=unknown,
    )


def _followed(value: Any, source_layers: int, layers: Sequence[int]) -> Any:
    """Return a key's value for the target's layers, if it has one entry per layer of the source."""
    if isinstance(value, list) and len(value) == source_layers and list(layers) != list(range(source_layers)):
        return [value[layer] for layer in layers]
    return value


def _require_same(folder: Path, values: Values, grown: Any, free: set[str]) -> None:
    """Raise GrowBenchError if the stock class reads the values as another config than `grown`, but for the keys in `free`."""
    read = type(grown).from_dict(json.loads(json.dumps(values)))
    one, other = ({k: v for k, v in c.to_dict().items() if k not in free} for c in (read, grown))
    if wrong := sorted(key for key in one.keys() | other.keys() if one.get(key) != other.get(key)):
        raise GrowBenchError(
            f"{folder}/config.json: {wrong[0]} would be read as {one.get(wrong[0])!r} beside the keys of the source, but must be "
            f"{other.get(wrong[0])!r}; remove the older spelling of this key"
        )

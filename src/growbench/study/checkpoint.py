"""A trained checkpoint as a study's source: a Hugging Face directory, or a model of the Hub. Its config.json gives the spec.

No torch and no transformers: the Snakefile loads the study. `growbench check` and the source's job open the directory with
its stock classes and compare (pipeline/pretrain/taken.py).
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from growbench import families
from growbench.errors import GrowBenchError
from growbench.records import identity
from growbench.runtime import durable, hub
from growbench.spec import ModelSpec
from growbench.study.sections import Config

KEY = "source.path"
CONFIG = "config.json"
WEIGHTS = "*.safetensors"
UNREAD = ("_name_or_path", "transformers_version", "_commit_hash", "architectures", "dtype", "torch_dtype")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A trained model in a Hugging Face directory.

    folder: the directory.
    spec: its shape, read from config.json.
    settings: digest of everything in config.json that shapes a model.
    """

    folder: Path
    spec: ModelSpec
    settings: str

    @property
    def content(self) -> str:
        """The digest of config.json and of the tensors' files. Raises GrowBenchError if there are none."""
        return _content(self.folder)

    def target(self, **sizes: int) -> ModelSpec:
        """Return a bigger shape; key/value heads, if there are fewer than heads, grow in proportion to them."""
        own, heads = self.spec, sizes["heads"]
        made = own.resized(**sizes)
        if own.kv_heads == own.heads or own.kv_heads * heads % own.heads:
            return made
        return made.resized(kv_heads=own.kv_heads * heads // own.heads)


def read(path: str) -> Checkpoint:
    """Return the checkpoint of a directory, or of a model of the Hub, downloaded if it is not in the cache.

    Raises GrowBenchError, one line, if there is none, or if its config.json is not that of a known family.
    """
    return _read(path, Path.cwd())


@cache
def _read(path: str, here: Path) -> Checkpoint:
    """Return the same, read once. here: the folder that a relative path is below."""
    folder = Path(path).expanduser()
    if (name := hub.named(folder)) is not None:
        try:
            folder = hub.located(name, cached=True)
        except GrowBenchError as error:
            raise GrowBenchError(f"{KEY}: {error}") from error
    if not folder.is_dir():
        raise GrowBenchError(f"{KEY}: {path}: no such directory; name a directory that save_pretrained wrote")
    folder = here / folder
    values = _values(folder)
    if "model_type" not in values:
        known = ", ".join(families.names())
        raise GrowBenchError(f"{KEY}: {folder / CONFIG}: has no model_type; add it, as one of {known}")
    family = families.load(families.named(values["model_type"], f"{KEY}: {folder / CONFIG}: model_type"))
    try:
        spec = family.spec(SimpleNamespace(**values))
    except (AttributeError, TypeError) as error:
        wanted = ", ".join(family.sizes.values())
        raise GrowBenchError(f"{KEY}: {folder / CONFIG}: lacks a size; it needs {wanted}") from error
    kept = {key: value for key, value in values.items() if key not in UNREAD}
    return Checkpoint(folder, spec, identity.digest(kept))


def of(config: Config) -> Checkpoint | None:
    """Return the checkpoint that a config names as its source; None if the study trains its own."""
    return None if config.source.path is None else read(config.source.path)


def _values(folder: Path) -> dict[str, Any]:
    if not (folder / CONFIG).is_file():
        raise GrowBenchError(f"{KEY}: {folder}: has no {CONFIG}; name a directory that save_pretrained wrote")
    try:
        values = durable.read_json(folder / CONFIG)
    except GrowBenchError as error:
        raise GrowBenchError(f"{KEY}: {error}") from error
    if not isinstance(values, dict):
        raise GrowBenchError(f"{KEY}: {folder / CONFIG}: not a JSON object; write it again with save_pretrained")
    return values


@cache
def _content(folder: Path) -> str:
    files = sorted(folder.glob(WEIGHTS))
    if not files:
        raise GrowBenchError(
            f"{KEY}: {folder}: has no safetensors, and nothing else is read; write it again with save_pretrained"
        )
    try:
        return identity.digest({path.name: durable.digest(path) for path in [folder / CONFIG, *files]})
    except OSError as error:
        raise GrowBenchError(f"{KEY}: {error.filename}: {error.strerror}; restore the file") from error

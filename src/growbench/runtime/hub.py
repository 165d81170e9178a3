"""A model of the Hugging Face Hub in place of a source's directory."""

import re
from pathlib import Path

from growbench.errors import GrowBenchError

ID = re.compile(r"(?P<name>[A-Za-z0-9][\w.-]*(?:/[A-Za-z0-9][\w.-]*)?)(?:@(?P<revision>[\w./-]+))?")
UNREAD = (  # weights that are never read
    "*.bin", "*.pt", "*.pth", "*.ckpt", "*.h5", "*.msgpack", "*.onnx", "*.onnx_data", "*.gguf", "*.ot", "*.tflite",
    "consolidated*.safetensors",
)  # fmt: skip


def named(source: Path) -> str | None:
    """Return the name of a model of the Hub if the source is one (`ORG/NAME`, or `ORG/NAME@REVISION`) and no directory."""
    if source.exists() or source.is_symlink() or ID.fullmatch(str(source)) is None:
        return None
    return str(source)


def located(name: str, *, cached: bool = False) -> Path:
    """Return the directory with a model of the Hub, downloaded if it is not in the cache; safetensors only.

    cached: whether a copy in the cache is used as it is; otherwise the Hub is asked whether there is a newer one.
    Raises GrowBenchError with the command that downloads it if that is not possible here.
    """
    import huggingface_hub

    match = ID.fullmatch(name)
    assert match is not None
    try:
        if cached and (found := _cached(match["name"], match["revision"])) is not None:
            return found
        return Path(
            huggingface_hub.snapshot_download(match["name"], revision=match["revision"], ignore_patterns=list(UNREAD))
        )
    except Exception as error:
        reason = " ".join(str(error).split())[:160] or type(error).__name__
        revision = f" --revision {match['revision']}" if match["revision"] else ""
        raise GrowBenchError(
            f"{name}: no such directory, and no model that the Hub gives here ({reason}); where it can be reached, run `hf "
            f"download {match['name']}{revision} --exclude '*.bin' --exclude '*.pth'`, and name the directory that this prints"
        ) from error


def _cached(name: str, revision: str | None) -> Path | None:
    """Return the directory of the cache that holds a model of the Hub; None if none does."""
    import huggingface_hub

    try:
        return Path(huggingface_hub.snapshot_download(name, revision=revision, local_files_only=True))
    except (OSError, ValueError):  # not in the cache
        return None

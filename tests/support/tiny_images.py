"""A study of a few steps on generated images, and its corpus."""

from pathlib import Path
from typing import Any

from support import tiny

from growbench import families, methods
from growbench.pipeline.corpus import run as corpus
from growbench.study import config, files
from growbench.study.study import Study

SIZE, PATCH, CLASSES = 12, 4, 4
GROWING = ("direct_copy", "bert2bert_fpi", "bert2bert_aki", "lemon", "ki", "msg", "ligo", "mango")
PLANNED = ("scratch", "stackbert", "mslt", "bert2bert", "gradual", "g_stack", "staged")
USED = (*PLANNED, *GROWING)
OPTIONS: dict[str, Any] = {"ligo": {"steps": 4}, "mango": {"steps": 4}}
SMALL: dict[str, Any] = {
    "attention": False,
    "data": {"repeat": True},
    "images": {
        "size": SIZE, "patch": PATCH, "classes": CLASSES, "most": 600, "image_key": "image", "label_key": "label",
        "pad": 1, "flip": True, "randaugment": None, "task_size": None, "confused": 0.1,
    },
    "corpus": {"source": "synthetic", "valid_fraction": 0.1, "max_tokens": None},
    "tasks": {"names": []},
}  # fmt: skip


def values(family: str = "vit", **changes: Any) -> dict[str, Any]:
    """Return the config of a tiny study of images. changes: sections that are merged in; `methods` replaces its methods."""
    made = families.load(family)
    base = files.merged(files.merged(files.read(tiny.ROOT / "config/demo.yaml"), tiny.SMALL), SMALL)
    base["objective"] |= {"kind": made.objective, "length": (SIZE // PATCH) ** 2 + made.tokens}
    base["target"]["family"] = family
    own = changes.pop("methods", {name: OPTIONS.get(name) for name in USED})
    return files.merged(base, changes) | {"methods": own}


def study(family: str = "vit", **changes: Any) -> Study:
    """Return a tiny study of images; nothing is written."""
    return config.load(values(family, **changes))


def tiny_images(folder: Path, family: str = "vit", **changes: Any) -> Study:
    """Return a tiny study of images whose corpus lies below `folder`, the working directory of the test."""
    made = study(family, **changes)
    if not (folder / made.layout.corpus_manifest).exists():
        corpus.build(made)
    return made


def unable() -> list[str]:
    """Return the methods that grow and are not among those used here."""
    return [name for name in methods.names() if name not in USED]

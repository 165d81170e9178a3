"""The model card of a grown directory: README.md, made from the report."""

import io
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from growbench.errors import shown
from growbench.pipeline.grow import files
from growbench.pipeline.grow.carry import OWN
from growbench.spec import MIXTURE_KEYS, SHAPE_KEYS, ModelSpec

HEAD = re.compile(r"---\n(.*?)\n---", re.DOTALL)
INHERITED = ("license", "license_name", "license_link", "language", "pipeline_tag")  # keys of the source's card
TEXT = """# {title}

A {kind} that was grown by `growbench grow`, and not trained since.

| | source | this model |
| :--- | ---: | ---: |
{sizes}

- Source: {source}
- Method: {method}{options}, seed {seed}
- Does it compute the source's function? Claimed: {claimed}. {measured}
- Cost: {flops:.3g} FLOPs, {seconds:.1f} s, {memory:.3g} GB of memory at most
- Files of the source: {carried} are here{left}. {own}

`{report}` says the same for programs, key by key and file by file. How to go on with pre-training: docs/GROW.md of growbench.
"""


def card(report: Mapping[str, Any], source: Path, name: str | None) -> str:
    """Return the card. source: the source's directory. name: the source's name on the Hub, if it has one."""
    before = ModelSpec.from_dict({k: v for k, v in report["source"].items() if k != "directory"})
    after = ModelSpec.from_dict(report["target"])
    rows = [f"| {key.replace('_', ' ')} | {getattr(before, key)} | {getattr(after, key)} |" for key in SHAPE_KEYS]
    rows += [f"| {key} | 1 | {report['target'][key]} |" for key in MIXTURE_KEYS if key in report["target"]]
    rows.append(f"| parameters | {report['parameters_before']:,} | {report['parameters_after']:,} |")
    rows.append(f"| stored as | {_types(report['types']['before'])} | {_types(report['types']['after'])} |")
    told = report["files"]
    options = ", ".join(f"{key}={value}" for key, value in report["options"].items())
    text = TEXT.format(
        title=_plain(f"{report['class']} {after.short()}"),
        kind=_plain(report["class"]),
        sizes="\n".join(rows),
        source=_code(name or report["source"]["directory"]),
        method=_code(report["method"]),
        options=f" with {_code(options)}" if options else "",
        seed=report["seed"],
        claimed=_plain("exact" if report["claimed"]["exact"] else f"not exact ({report['claimed']['preserves']})"),
        measured=_measured(report),
        flops=report["flops"],
        seconds=sum(report["seconds"].values()),
        memory=max(report["memory"].values()) / 1e9,
        carried=len(told["carried"]),
        left=f", {len(told['not_carried'])} are not" if told["not_carried"] else "",
        own=f"Its card is `{OWN}/{files.CARD}`." if files.CARD in told["carried"] else "It had no card.",
        report=files.REPORT,
    )
    given = source / files.CARD if files.CARD in told["carried"] else None
    return f"---\n{_head(given, name)}---\n\n{text}"


def _measured(report: Mapping[str, Any]) -> str:
    found = report["measured"]
    if isinstance(found, str):
        return _plain(found[0].upper() + found[1:]) + "."
    relative = found["relative_delta"]
    size = "not finite" if relative is None else f"{relative:.3g} of the largest output"
    return f"Measured on {_plain(report['inputs'])}: the outputs differ by {size}."


def _head(source: Path | None, name: str | None) -> str:
    """Return the card's metadata as YAML: what the source's card says of its license and language, and where it comes from."""
    from ruamel.yaml import YAML

    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = False
    given = _metadata(source, yaml) if source is not None else {}
    head = {key: given[key] for key in INHERITED if key in given}
    base = name.partition("@")[0] if name else given.get("base_model")
    head |= {"library_name": "transformers", "tags": ["growbench", "model-growth"]}
    out = io.StringIO()
    yaml.dump(head | ({"base_model": base} if base else {}), out)
    return out.getvalue()


def _metadata(path: Path, yaml: Any) -> dict[str, Any]:
    """Return the metadata of a card; empty without a card, or if it cannot be read."""
    try:
        match = HEAD.match(path.read_text(encoding="utf-8"))
        found = yaml.load(match[1]) if match else {}
    except Exception:  # a card may hold anything
        return {}
    return found if isinstance(found, dict) else {}


def _types(table: Mapping[str, Mapping[str, int]]) -> str:
    return ", ".join(table)


def _plain(text: object) -> str:
    """Return text from outside without what Markdown or HTML would read."""
    return re.sub(r"([\\`*_\[\]<>|&])", r"\\\1", shown(text))


def _code(text: object) -> str:
    """Return text from outside as code."""
    return "`" + shown(text).replace("`", "'") + "`"

"""What a result was made from: named parts, each a short value or a digest, so that a difference can be said in words.

A result carries the identity of what made it: a run's state, its finished points, its record, and what is made from these.
Whoever uses a result compares the identity with the one that it wants. Nothing here reads a study.
"""

import ast
import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from growbench.errors import GrowBenchError

FILE = "identity.json"  # in the folder of a finished point
Identity = dict[str, Any]
PARTS = {  # each part in words; a part that is not listed is named by its key
    "version": "the format of checkpoints",
    "config": "the config",
    "options": "the method's options",
    "plan": "the plan",
    "method": "the method's code",
    "growth": "growth.VERSION",
    "family": "the family's version",
    "train": "train.VERSION",
    "corpus": "the corpus",
    "tokenizer": "the tokenizer",
    "source": "the source",
    "seed": "the seed",
    "lr": "the learning rate",
    "warmup": "the warm-up",
    "share": "the share of the budget",
    "precision": "the precision",
    "model": "the model",
    "models": "the models",
    "tasks": "the task files",
}
CODE = ("version", "method", "growth", "family", "train")  # parts that a change of the code alone changes
OLDER = {"warmup": "share"}  # parts that identities lack that are older than warm-ups in steps, and what they were
DIGEST = re.compile(r"[0-9a-f]{12,}")
ABSENT = object()


def parts(**values: Any) -> Identity:
    """Return an identity of these parts, as it reads back from JSON."""
    return dict(json.loads(json.dumps(values)))


def digest(values: Any) -> str:
    """Return the SHA-256 of a JSON-able value, whatever the order of its keys."""
    canonical = json.dumps(values, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(canonical.encode()).hexdigest()


def changes(old: Any, new: Mapping[str, Any]) -> str:
    """Return in words which parts of `new` differ in `old`; empty if none does.

    old: an identity as it was read from a file. A part that is null there was not recorded, and passes; one that is absent
    does not, unless OLDER says what it was. Parts that `new` does not have are not compared.
    """
    if not isinstance(old, Mapping):
        return "what it was made from is not recorded"
    old = {**OLDER, **old}
    differing = [key for key, value in new.items() if old.get(key, ABSENT) not in (None, value)]
    if not differing:
        return ""
    *others, last = [PARTS.get(key, key) + _values(old.get(key, ABSENT), new[key]) for key in differing]
    return f"{', '.join(others)} and {last} changed since" if others else f"{last} changed since"


def _values(old: Any, new: Any) -> str:
    """Return two values in parentheses if they are short enough to help; of two mappings, those that differ."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        differing = [key for key in sorted({*old, *new}) if old.get(key, ABSENT) != new.get(key, ABSENT)]
        shown = [_shown(key, old.get(key), new.get(key)) for key in differing]
        return f" ({', '.join(shown)})"
    return f" ({_shown('', old, new)})" if _short(old) and _short(new) else ""


def _shown(name: str, old: Any, new: Any) -> str:
    if not (_short(old) and _short(new)):
        return name
    return f"{name}: {json.dumps(old)}, now {json.dumps(new)}".removeprefix(": ")


def _short(value: Any) -> bool:
    if isinstance(value, str):
        return len(value) <= 40 and not DIGEST.fullmatch(value)
    return value is None or isinstance(value, bool | int | float)


def code_digest(paths: Iterable[Path]) -> str:
    """Return the SHA-256 of what some Python files say: of their names and parsed code.

    Comments, docstrings and layout do not count. Raises GrowBenchError, naming the file, for one that does not parse.
    """
    return digest([[path.name, _plain(parsed(path))] for path in sorted(paths)])


def parsed(path: Path) -> ast.Module:
    """Return the parsed code of a file, without docstrings. Raises GrowBenchError, naming the file, if it does not parse."""
    try:
        tree = ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError, RecursionError) as error:
        line = f", line {error.lineno}" if isinstance(error, SyntaxError) and error.lineno else ""
        reason = getattr(error, "msg", None) or getattr(error, "strerror", None) or str(error)
        raise GrowBenchError(f"{path}{line}: not valid Python ({reason}); fix the file") from error
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            node.body = [statement for statement in node.body if not _is_text(statement)]
    return tree


def _is_text(statement: ast.stmt) -> bool:
    """Return whether a statement is text that does nothing, as a docstring is."""
    value = statement.value if isinstance(statement, ast.Expr) else None
    return isinstance(value, ast.Constant) and isinstance(value.value, str)


def _plain(node: Any) -> Any:
    """Return a node as lists and strings. Empty fields are left out: which ones there are depends on Python's version."""
    if isinstance(node, ast.AST):
        fields = [[name, _plain(value)] for name, value in ast.iter_fields(node) if value is not None and value != []]
        return [type(node).__name__, *fields]
    return [_plain(value) for value in node] if isinstance(node, list) else repr(node)

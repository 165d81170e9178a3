"""Mutations: of nested values, of bytes, and of text, all from one random generator."""

import copy
import json
import random
from typing import Any

ODD: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 2, 7, 10**6, -(10**9), 10**30, 0.0, 0.5, 1.0, 32.0, -0.25, 1e-9, 1e308, float("nan"),
    float("inf"), "", " ", "a", "all", "null", "1e-3", "0x10", "source", "scratch", "../x", "/", "é", "\x1b[31mred", "a\nb",
    "<b>x</b>", "x" * 300, [], [0], [1.0], [[1]], {}, {"a": 1}, {"of": "scratch"},
)  # fmt: skip
CHUNKS = (
    b"\x00",
    b"\xff\xfe",
    b"\xed\xa0\x80",
    b"\t",
    b"\r",
    b"\n\n",
    b'"',
    b"[MASK]",
    b"[SEP] [CLS]",
    "é".encode("latin-1"),
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the paths of everything inside a nested value, the whole left out."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    found = []
    for key, inner in items:
        found += [(*path, key), *places(inner, (*path, key))]
    return found


def nested(value: Any, rng: random.Random) -> Any:
    """Return a copy of a nested value with one place changed: replaced, taken out, nudged, doubled, or given a new neighbor."""
    made = copy.deepcopy(value)
    path = rng.choice(places(made))
    holder = made
    for key in path[:-1]:
        holder = holder[key]
    key = path[-1]
    how = rng.randrange(8)
    if how == 0:
        del holder[key]
    elif how == 1 and isinstance(holder, dict):
        holder[f"{key}x"] = holder.pop(key)
    elif how == 2 and isinstance(holder, list):
        holder.append(copy.deepcopy(holder[key]))
    elif how >= 5:
        holder[key] = nudged(holder[key], rng)
    else:
        holder[key] = copy.deepcopy(rng.choice(ODD))
    return made


def near(value: Any, rng: random.Random) -> Any:
    """Return a copy of a nested value with one number, word or flag changed to one that a person might have written."""
    made = copy.deepcopy(value)
    paths = [path for path in places(made) if isinstance(path[-1], str) and not isinstance(at(made, path), dict)]
    path = rng.choice(paths)
    holder = at(made, path[:-1])
    holder[path[-1]] = written(holder[path[-1]], rng)
    return made


def written(value: Any, rng: random.Random) -> Any:
    """Return another value that a person might have written in place of this one."""
    if isinstance(value, bool):
        return rng.choice((not value, str(value).lower()))
    if isinstance(value, int):
        return rng.choice((value + 1, value - 1, value * 2, value // 2, float(value), str(value), [value], 0, 1, None))
    if isinstance(value, float):
        return rng.choice((value * 2, value / 2, value + 1, -value, str(value), f"{value:.0e}", 0, 1, 1.0, None))
    if isinstance(value, str):
        return rng.choice((value.upper(), value[:-1], f"{value} ", [value], {value: None}, None))
    if isinstance(value, list):
        return rng.choice((value[:-1], value * 2, value[::-1], [*value, None], value[0] if value else 0, None))
    return rng.choice((1, 0.5, "a", [], False, [1], [0.5, 1.0], {"share": 0.1}))


def at(value: Any, path: tuple[Any, ...]) -> Any:
    """Return what lies at a path inside a nested value."""
    for key in path:
        value = value[key]
    return value


def nudged(value: Any, rng: random.Random) -> Any:
    """Return a value near this one, of the same type, and never the same."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + rng.choice((-1, 1, 10))
    if isinstance(value, float):
        return value * rng.choice((1.01, 0.5, -1)) if value else 1e-3
    if isinstance(value, str):
        if not value:
            return "a"
        place = rng.randrange(len(value))
        return value[:place] + chr((ord(value[place]) + 1) % 128 or 65) + value[place + 1 :]
    if isinstance(value, list):
        return [*value, *value] if value else [0]
    if isinstance(value, dict):
        return {**value, "extra": 1}
    return 0


def raw(data: bytes, rng: random.Random) -> bytes:
    """Return bytes with one change: cut, a byte flipped, a chunk put in, a stretch doubled, or nothing left."""
    how, place = rng.randrange(5), rng.randrange(len(data) + 1)
    if how == 0:
        return data[:place]
    if how == 1 and data:
        place = min(place, len(data) - 1)
        return data[:place] + bytes([data[place] ^ (1 << rng.randrange(8))]) + data[place + 1 :]
    if how == 2:
        return data[:place] + rng.choice(CHUNKS) * rng.choice((1, 3)) + data[place:]
    if how == 3:
        return data[:place] + data[max(0, place - 40) :]
    return b""


def dumped(value: Any) -> str:
    """Return JSON with the infinities and nan that a hand can write into a file."""
    return json.dumps(value, ensure_ascii=False)

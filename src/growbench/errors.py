"""Errors for the user: one line each, its `did you mean` hint, and the quoting of what comes from outside."""

import difflib
from collections.abc import Iterable


class GrowBenchError(ValueError):
    """One line: what is wrong, where (key or file), and the remedy. The command line prints it and exits with 2."""


def shown(text: object) -> str:
    """Return text from outside as it may be printed: one line; what is not printable is written as an escape, as `\\x1b`."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in str(text))


def nearest(word: str, allowed: Iterable[str]) -> str:
    """Return the end of an error line: the nearest of the allowed words, if one is near, and all of them."""
    options = sorted(str(o) for o in allowed)
    folded = {o.casefold(): o for o in options}
    word = str(word).casefold()
    close = difflib.get_close_matches(word, folded, n=1) or [o for o in folded if sorted(o) == sorted(word)]
    hint = f"did you mean '{folded[close[0]]}'? " if close else ""
    return f"{hint}allowed: {', '.join(options)}"

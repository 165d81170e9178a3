"""Errors for the user: one line each, and its `did you mean` hint."""

import difflib
from collections.abc import Iterable


class GrowBenchError(ValueError):
    """One line: what is wrong, where (key or file), and the remedy. The command line prints it and exits with 2."""


def nearest(word: str, allowed: Iterable[str]) -> str:
    """Return the end of an error line: the nearest of the allowed words, if one is near, and all of them."""
    options = sorted(str(o) for o in allowed)
    folded = {o.casefold(): o for o in options}
    word = str(word).casefold()
    close = difflib.get_close_matches(word, folded, n=1) or [o for o in folded if sorted(o) == sorted(word)]
    hint = f"did you mean '{folded[close[0]]}'? " if close else ""
    return f"{hint}allowed: {', '.join(options)}"

"""The exceptions a user is meant to read, and what their lines need."""

import difflib
from collections.abc import Iterable


class GrowBenchError(ValueError):
    """One line: what is wrong, where (key or file), and the remedy. The CLI prints it and exits with 2."""


def nearest(word: str, allowed: Iterable[str]) -> str:
    """Return a `did you mean` hint listing the allowed words, for the end of an error line."""
    options = sorted(str(o) for o in allowed)
    folded = {o.casefold(): o for o in options}
    word = str(word).casefold()
    close = difflib.get_close_matches(word, folded, n=1) or [o for o in folded if sorted(o) == sorted(word)]
    hint = f"did you mean '{folded[close[0]]}'? " if close else ""
    return f"{hint}allowed: {', '.join(options)}"

"""Words as one line of a bash command that can stand inside a script element of a page.

Snakemake writes the parameters of every job into its report, in a `<script>` that a `</script>` among them would end.
"""

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

LESS = "'$'\\x3c''"  # ends the quotes of shlex.join, spells < as bash can read it, and begins them again


def join(words: Sequence[str]) -> str:
    """Return the words quoted for bash, without `<`."""
    return shlex.join(words).replace("<", LESS)


def split(line: str) -> list[str]:
    """Return the words that `join` has quoted."""
    return shlex.split(line.replace(LESS, "<"))


def spelled(value: Any) -> Any:
    """Return a value of dicts, lists and text with each `<` in it spelled as in JSON's escapes; others are unchanged."""
    if isinstance(value, str):
        return value.replace("<", "\\u003c")
    if isinstance(value, Mapping):
        return {spelled(key): spelled(own) for key, own in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(spelled(own) for own in value)
    return value

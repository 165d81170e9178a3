"""WikiText as it was before it was split into tokens, so that a model that was trained on ordinary text can read it."""

import re

NUMBERS = re.compile(r" @([-,.])@ ")
CLOSING = re.compile(r" ([,.;:!?%°)\]}])")
OPENING = re.compile(r"([(\[{£$#]) ")
SHORT = re.compile(r" ('(?:s|m|d|t|ll|re|ve)\b|n't\b)")
POSSESSIVE = re.compile(r"(?<=s) '(?= )")
QUOTED = re.compile(r'" ([^"\n]*?) ?"')
HEADING = re.compile(r"^(=(?: =)*) (.*?) \1$")


def wikitext(text: str) -> str:
    """Return text of WikiText's files with its separated marks put back: ` @-@ `, ` , `, ` 's`, quotes and brackets.

    `<unk>` stays, since nothing tells what it stands for. A heading becomes its words. Lines lose the spaces around them.
    """
    return "\n".join(_line(line.strip()) for line in text.split("\n"))


def _line(line: str) -> str:
    if heading := HEADING.match(line):
        line = heading[2]
    line = NUMBERS.sub(r"\1", line)
    line = QUOTED.sub(r'"\1"', line)
    line = POSSESSIVE.sub("'", SHORT.sub(r"\1", line))
    return OPENING.sub(r"\1", CLOSING.sub(r"\1", line))

"""Words of a command line: bash reads them as they were, and no page's script can end inside of them."""

import subprocess

import pytest

from growbench.runtime import shell

WORDS = [
    "--config",
    "config/a b.yaml",
    "</script><script>alert(1)</script>",
    "it's <",
    "<",
    "plain",
    "",
    "$HOME `x` \\x3c",
]


def test_bash_reads_the_words_that_were_quoted() -> None:
    line = shell.join(WORDS)
    done = subprocess.run(["bash", "-c", f"printf '%s\\0' {line}"], capture_output=True, text=True, check=True)
    assert done.stdout.split("\0")[:-1] == WORDS
    assert shell.split(line) == WORDS and "<" not in line


@pytest.mark.parametrize("word", WORDS)
def test_a_word_alone_is_quoted_too(word: str) -> None:
    assert shell.split(shell.join([word])) == [word]


def test_values_keep_their_shape_and_differ_where_they_differed() -> None:
    value = {"files": ["a<b", 1, None], "set": ("<", {"x<": 2.0})}
    assert shell.spelled(value) == {"files": ["a\\u003cb", 1, None], "set": ("\\u003c", {"x\\u003c": 2.0})}
    assert shell.spelled({"plain": [1, "b"]}) == {"plain": [1, "b"]}

"""Identities: their digests, their differences in words, and the digest of code."""

from pathlib import Path

import pytest

from growbench import methods
from growbench.errors import GrowBenchError
from growbench.records import identity

CODE = '''"""A method."""

GAIN = 1.0


def widen(x):
    """Return x, wider."""
    return GAIN * x  # as published
'''
HEX = ("a" * 64, "b" * 64)


def digest_of(folder: Path, text: str, name: str = "method.py") -> str:
    path = folder / name
    path.write_text(text)
    return identity.code_digest([path])


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("# as published", "# as in the authors' code"),
        ("A method.", "Another description."),
        ("Return x, wider.", "Return more of x."),
        ("GAIN * x", "(GAIN *\n            x)"),
        ("\n\n\ndef", "\n\ndef"),
    ],
)
def test_comments_docstrings_and_layout_do_not_count(tmp_path: Path, old: str, new: str) -> None:
    assert digest_of(tmp_path, CODE.replace(old, new)) == digest_of(tmp_path, CODE)


@pytest.mark.parametrize(("old", "new"), [("1.0", "1"), ("1.0", "True"), ("GAIN * x", "x * GAIN"), ("widen", "deepen")])
def test_code_counts(tmp_path: Path, old: str, new: str) -> None:
    assert digest_of(tmp_path, CODE.replace(old, new)) != digest_of(tmp_path, CODE)


def test_two_files_that_swap_their_content_differ(tmp_path: Path) -> None:
    one, other = tmp_path / "one.py", tmp_path / "other.py"
    one.write_text(CODE), other.write_text("GAIN = 2.0\n")
    before = identity.code_digest([one, other])
    assert identity.code_digest([other, one]) == before
    one.write_text("GAIN = 2.0\n"), other.write_text(CODE)
    assert identity.code_digest([one, other]) != before


def test_code_that_does_not_parse_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(GrowBenchError, match=r"method\.py, line 1: not valid Python \(.*\); fix the file"):
        digest_of(tmp_path, "def widen(:\n")
    with pytest.raises(GrowBenchError, match=r"none\.py: not valid Python \(No such file"):
        identity.code_digest([tmp_path / "none.py"])


def test_a_methods_files_are_those_that_it_imports_from_its_folder() -> None:
    assert [p.stem for p in methods.files("bert2bert")] == ["bert2bert", "bert2bert_aki", "bert2bert_fpi"]
    assert [p.stem for p in methods.files("scratch")] == ["scratch"]
    for name in methods.names():
        own = {Path(f"{cls.__module__.rpartition('.')[2]}.py").name for cls in type(methods.load(name)).__mro__[:-1]}
        assert own - {"_contract.py"} <= {path.name for path in methods.files(name)}
    assert len({methods.code(name) for name in methods.names()}) == len(methods.names())


def test_digests_do_not_depend_on_the_order_of_keys() -> None:
    assert identity.digest({"a": 1, "b": [1.5]}) == identity.digest({"b": [1.5], "a": 1})
    assert identity.digest({"a": 1}) != identity.digest({"a": 1.0}) != identity.digest({"a": "1.0"})


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ({"seed": 0}, {"seed": 0}, ""),
        ({"seed": 0}, {"seed": 1}, "the seed (0, now 1) changed since"),
        ({"method": HEX[0]}, {"method": HEX[1]}, "the method's code changed since"),
        ({"corpus": HEX[0], "lr": 0.1}, {"corpus": HEX[1], "lr": 0.2}, "the corpus and the learning rate (0.1, now 0.2) changed since"),
        ({"options": {"eps": 0.0, "k": 1}}, {"options": {"eps": 0.9, "k": 1}}, "the method's options (eps: 0.0, now 0.9) changed since"),
        ({"precision": "float32"}, {"precision": "bf16"}, 'the precision ("float32", now "bf16") changed since'),
        ({"corpus": None}, {"corpus": HEX[0]}, ""),
        ({}, {"corpus": HEX[0]}, "the corpus changed since"),
        ({"lr": 0.1, "more": 1}, {"lr": 0.1}, ""),
        ({"unknown": "\x1b[2J"}, {"unknown": ""}, r'unknown ("\u001b[2J", now "") changed since'),
        (["seed"], {"seed": 0}, "what it was made from is not recorded"),
        (None, {"seed": 0}, "what it was made from is not recorded"),
    ],
)  # fmt: skip
def test_differences_are_said_in_words(old: object, new: dict[str, object], words: str) -> None:
    assert identity.changes(old, new) == words


def test_an_identity_is_what_it_reads_back_as() -> None:
    assert identity.parts(betas=(0.9, 0.95)) == {"betas": [0.9, 0.95]}

"""A ladder: a file that lists studies, its rungs, which are run and compared together."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from growbench.errors import GrowBenchError, nearest
from growbench.study import config, files
from growbench.study.types import StudyName

KEYS = (files.LADDER, "studies")
NAME = TypeAdapter(StudyName)


@dataclass(frozen=True, slots=True)
class Ladder:
    """Studies that are run together.

    name: names results/<name> and figures/<name>, which hold what compares the studies.
    files: the config file of each study by the study's name, in the order of the rungs.
    """

    name: str
    files: Mapping[str, str]


def given(paths: Sequence[str | Path]) -> bool:
    """Return whether config files are one ladder, not the files of one study. Raises GrowBenchError if it cannot be read."""
    return len(paths) == 1 and files.LADDER in files.read(paths[0])


def load(path: str | Path, changes: Sequence[str] = ()) -> Ladder:
    """Return the ladder of a file. Changes such as `optimizer.lr=1e-3` are made to every study, and all are checked.

    Raises GrowBenchError, one line with the file, for a fault of the ladder or of one of its studies.
    """
    values = files.read(path)
    try:
        name, listed = _checked(values)
        found = _studies([str(Path(path).parent / entry) for entry in listed], changes)
        if name in found:
            raise GrowBenchError(f"{files.LADDER}: {name} is also the study of {found[name]}; use another name")
    except GrowBenchError as error:
        raise GrowBenchError(f"{path}: {error}") from error
    return Ladder(name, found)


def _checked(values: Mapping[str, Any]) -> tuple[str, list[str]]:
    """Return the name and the list of files of a ladder's mapping."""
    for key in values:
        if key not in KEYS:
            raise GrowBenchError(f"{key}: unknown key of a list of studies; {nearest(str(key), KEYS)}")
    name, listed = (values.get(key) for key in KEYS)
    try:
        NAME.validate_python(name)
    except ValidationError:
        raise GrowBenchError(
            f"{files.LADDER}: {name!r} is not allowed; use small letters, digits, - and _, at most 100"
        ) from None
    if not isinstance(listed, list) or not listed or not all(isinstance(entry, str) and entry for entry in listed):
        raise GrowBenchError(f"studies: {listed!r} is not allowed; list the config file of each study")
    return str(name), listed


def _studies(paths: Sequence[str], changes: Sequence[str]) -> dict[str, str]:
    """Return config files by the names of their studies."""
    found: dict[str, str] = {}
    for path in paths:
        try:
            study = config.gather([path], changes).study
        except GrowBenchError as error:
            raise GrowBenchError(f"studies: {error}") from error
        if study in found:
            raise GrowBenchError(f"studies: {found[study]} and {path} are both study {study}; rename or remove one")
        found[study] = path
    return found

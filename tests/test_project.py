"""The project's own files agree with one another."""

import importlib.metadata
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import growbench
from growbench.study import files

ROOT = Path(__file__).resolve().parents[1]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
REQUIREMENTS = [*PROJECT["dependencies"], *EXTRAS["dev"]]


def pins() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    return {canonicalize_name(name): version for name, _, version in (line.partition("==") for line in lines if line)}


def test_conda_installs_the_same_packages() -> None:
    conda = files.parse((ROOT / "environment.yml").read_text(encoding="utf-8"))
    *plain, pip = conda["dependencies"]
    assert f"python{PROJECT['requires-python']}" in plain
    assert pip["pip"] == ["-c constraints.txt", *REQUIREMENTS, "-e ."]


def test_snakemake_and_its_slurm_plugin_are_installed_with_the_package() -> None:
    names = {Requirement(text).name for text in PROJECT["dependencies"]}
    assert {"snakemake", "snakemake-executor-plugin-slurm"} <= names


@pytest.mark.parametrize("text", REQUIREMENTS)
def test_every_requirement_is_pinned_within_its_range(text: str) -> None:
    requirement = Requirement(text)
    pin = pins()[canonicalize_name(requirement.name)]
    assert requirement.specifier.contains(pin)


def test_constraints_are_exact_and_name_no_build() -> None:
    for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines():
        assert re.fullmatch(r"[A-Za-z0-9_.\-]+==[A-Za-z0-9.]+", line), line


def test_versions_agree() -> None:
    citation = files.parse((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert growbench.__version__ == PROJECT["version"] == citation["version"]
    assert citation["license"] == PROJECT["license"] == "Apache-2.0"
    assert "Apache License" in (ROOT / "LICENSE").read_text(encoding="utf-8")


def test_every_changelog_line_says_what_it_concerns() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    entries = [line for line in text.splitlines() if line.startswith("- ")]
    assert entries
    assert all(re.match(r"- \[(Code|Docs|Protocol|Results)\] ", line) for line in entries)


def test_the_command_is_installed() -> None:
    scripts = importlib.metadata.entry_points(group="console_scripts")
    assert {"growbench.cli.main:main"} == {script.value for script in scripts if script.name == "growbench"}


def test_the_readme_names_only_files_that_exist() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    linked = re.findall(r"\]\((?!https?:)([^)#]+)\)", text)
    assert linked and all((ROOT / path).exists() for path in linked)


def test_the_readme_s_file_tree_is_the_package_s() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    tree = text.partition("## Files")[2].partition("\n## ")[0]
    named = set(re.findall(r"\b([a-z_]+(?:\.py|/))(?=[ \n])", tree))
    package = ROOT / "src/growbench"
    there = {p.name if p.is_file() else f"{p.name}/" for p in package.iterdir() if not p.name.startswith((".", "_"))}
    wanted = {name for name in there if name.endswith(("/", ".py"))} - {"errors.py"}
    assert wanted <= named


def test_nothing_is_unpickled() -> None:
    """No name that unpickles, or can be told to, appears in the code. Messages may say that pickled weights are refused."""
    unpickling = re.compile(
        r"import pickle|from pickle|torch\.load\(|np\.load\(|allow_pickle|read_pickle|joblib|marshal|shelve"
    )
    refusing = re.compile(r"np\.load\(\w+, allow_pickle=False\)")  # of arrays in a file of the user's
    for path in [*(ROOT / "src").rglob("*.py"), *(ROOT / "workflow").rglob("*.py"), *(ROOT / "bench").rglob("*.py")]:
        assert not unpickling.search(refusing.sub("", path.read_text(encoding="utf-8"))), path

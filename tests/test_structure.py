"""The architecture: who imports whom, what a room may know, and where a path is spelled."""

import ast
import graphlib
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "src/growbench"
FILES = sorted(PACKAGE.rglob("*.py"))
LAYOUT = PACKAGE / "records/layout.py"
LONGEST = 350  # lines of a file
# From the bottom to the top: a room imports only from lines above its own.
ORDER = (
    {"errors", "__version__"},
    {"spec", "runtime", "synthetic"},
    {"records"},
    {"families"},
    {"plan"},
    {"growth"},
    {"methods"},
    {"study"},
    {"train", "tasks", "analysis"},
    {"pipeline"},
    {"cli"},
    {"__main__"},
)
LEVEL = {room: level for level, rooms in enumerate(ORDER) for room in rooms}
LIGHT = (  # what the Snakefile imports each time that it is parsed, and what makes tables and figures
    "growbench.analysis.papers", "growbench.analysis.figures.figure", "growbench.pipeline.aggregate.run",
    "growbench.pipeline.triggers", "growbench.records.layout", "growbench.study.config",
)  # fmt: skip


def module(path: Path) -> str:
    """Return the dotted name of a file of the package."""
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module(path): path for path in FILES}


def imported(path: Path) -> Iterator[str]:
    """Yield the package's own modules that a file imports anywhere, in functions too; a name of a module as the module."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in MODULES)
        elif isinstance(node, ast.ImportFrom) and node.module in MODULES:
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            yield from (name if name in MODULES else node.module for name in names)


def room(name: str) -> str:
    """Return the top-level part of the package that a module belongs to."""
    return name.split(".")[1] if "." in name else "__version__"


def test_the_imports_have_no_circle() -> None:
    graph = {name: set(imported(path)) - {name} for name, path in MODULES.items()}
    tuple(graphlib.TopologicalSorter(graph).static_order())


def test_no_import_goes_up() -> None:
    for name, path in MODULES.items():
        for other in {room(found) for found in imported(path)} - {room(name)}:
            assert LEVEL[other] < LEVEL[room(name)], f"{path}: {room(name)} must not import {other}"


def test_training_knows_no_method() -> None:
    known = {room(name) for path in (PACKAGE / "train").rglob("*.py") for name in imported(path)}
    assert not known & {"methods", "study"}


@pytest.mark.parametrize("name", LIGHT)
def test_neither_the_workflow_nor_the_tables_load_torch(name: str) -> None:
    code = f"import sys, {name}; sys.exit(bool({{'torch', 'transformers'}} & {{*sys.modules}}))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={"PYTHONPATH": str(ROOT / "src")}
    )
    assert done.returncode == 0, done.stderr


def test_the_top_level_is_small() -> None:
    assert len({room(name) for name in MODULES} - {"__version__", "__main__"}) <= 20


def test_a_study_is_typed_everywhere() -> None:
    assert not [path for path in FILES if re.search(r"\bstudy: Any\b", path.read_text(encoding="utf-8"))]


SPELLED = re.compile(
    r"""-s\{|['"/{](results|records|runs|points|benchmarks)/|/ ['"](results|records|runs|points|tables|benchmarks)['"]"""
)
RULES = [ROOT / "Snakefile", *sorted((ROOT / "workflow").rglob("*.smk")), *sorted((ROOT / "workflow").rglob("*.py"))]


def code(path: Path) -> str:
    """Return a file's text without its docstrings and comments."""
    if path.suffix != ".py":
        return re.sub(r"#.*|\"\"\".*?\"\"\"", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node):
            node.body = node.body[1:] or [ast.Pass()]
    return ast.unparse(tree)


def test_only_the_layout_spells_where_a_study_lies() -> None:
    found = {path: SPELLED.search(code(path)) for path in [*FILES, *RULES] if path != LAYOUT}
    assert not {path: match[0] for path, match in found.items() if match}
    assert SPELLED.search(code(LAYOUT))


@pytest.mark.parametrize("text", ['a / "records" / b', 'f"{method}-s{seed}"', '"results/{study}/x"', "Path('runs/a')"])
def test_a_spelled_path_is_found(text: str) -> None:
    assert SPELLED.search(text)


TESTS = sorted((ROOT / "tests").rglob("*.py"))


@pytest.mark.parametrize("path", TESTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_test_imports_another_test(path: Path) -> None:
    names = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names += [getattr(node, "module", None) or "", *(alias.name for alias in node.names)]
    assert not [name for name in names if any(part.startswith("test_") for part in name.split("."))]


@pytest.mark.parametrize("path", [*FILES, *TESTS, *sorted((ROOT / "bench").glob("*.py"))], ids=lambda path: path.stem)
def test_no_file_is_long(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= LONGEST, f"{path}: split it by what it does"

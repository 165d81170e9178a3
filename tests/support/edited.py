"""Method files in a copy of their folder, which a test may edit as a user does."""

import importlib
import shutil
import sys
from pathlib import Path

import pytest

from growbench import methods


class Edited:
    """A copy of the methods' folder, from which methods are loaded until the end of the test."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder, self.monkeypatch = folder / "methods", monkeypatch
        shutil.copytree(methods.FOLDER, self.folder, ignore=shutil.ignore_patterns("__pycache__"))
        monkeypatch.setattr(methods, "FOLDER", self.folder)
        monkeypatch.setattr(methods, "__path__", [str(self.folder)])
        monkeypatch.setattr(sys, "dont_write_bytecode", True)
        self._unload()

    def edit(self, name: str, old: str, new: str) -> None:
        """Replace text in a method's file, as another process would find it."""
        path = self.folder / f"{name}.py"
        text = path.read_text(encoding="utf-8")
        assert text.count(old) == 1, f"{path}: {old!r} appears {text.count(old)} times"
        path.write_text(text.replace(old, new), encoding="utf-8")
        self._unload()

    def _unload(self) -> None:
        for name in list(sys.modules):
            if name.startswith("growbench.methods.") and not name.endswith("._contract"):
                self.monkeypatch.delitem(sys.modules, name)
        importlib.invalidate_caches()

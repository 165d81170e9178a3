"""Folders that one step owns: what it no longer makes does not stay beside what it makes."""

import sys
from collections.abc import Collection
from pathlib import Path

from growbench.errors import shown


def keep_only(folder: Path, names: Collection[str], endings: Collection[str]) -> list[Path]:
    """Remove a folder's files with these endings whose name without the ending is not among `names`; return them.

    One line on stderr names them. Other files, and what lies deeper, are left alone. Several processes may do this at once.
    """
    stale = [path for path in sorted(folder.iterdir()) if path.suffix in endings and path.stem not in names]
    stale = [path for path in stale if path.is_file() and not path.name.startswith(".")]
    for path in stale:
        path.unlink(missing_ok=True)
    if stale:
        listed = shown(", ".join(path.name for path in stale))
        print(f"growbench: removed from {folder}, since the study no longer has them: {listed}", file=sys.stderr)
    return stale

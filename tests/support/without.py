"""Run a script as if some libraries were not installed: python without.py NAME,NAME SCRIPT WORD..."""

import runpy
import sys
from pathlib import Path

if __name__ == "__main__":
    absent, script = sys.argv[1].split(","), sys.argv[2]
    sys.modules.update(dict.fromkeys(absent))  # type: ignore[arg-type]  # an import of None is refused
    sys.argv = sys.argv[2:]
    sys.path[0] = str(Path(script).parent)
    runpy.run_path(script, run_name="__main__")

"""Make tables, figures and pages from the records of a study, or of every study of a ladder; nothing is trained.

    python workflow/tables.py config/FILE.yaml [arguments of snakemake]

Run it from the repository root. `make tables STUDY=FILE` does so.
"""

import os
import sys

from growbench.errors import GrowBenchError, shown
from growbench.study import ladder

RULES = ("aggregate", "figures", "pages")


def words(path: str) -> list[str]:
    """Return snakemake's arguments for a config file. Raises GrowBenchError for a faulty file."""
    prefixes = [f"{name}_" for name in ladder.load(path).files] if ladder.given([path]) else [""]
    allowed = [f"{prefix}{rule}" for prefix in prefixes for rule in RULES]
    together = ["ladder"] if prefixes != [""] else []
    forced = [f"{prefix}{RULES[0]}" for prefix in prefixes]
    return ["--configfile", path, "--allowed-rules", *allowed, *together, "all", "--forcerun", *forced]


def main(given: list[str]) -> None:
    if not given or given[0] in ("-h", "--help"):
        sys.exit(__doc__)
    try:
        found = words(given[0])
    except GrowBenchError as error:
        print(f"growbench: {shown(error)}", file=sys.stderr)
        sys.exit(2)
    os.execv(sys.executable, [sys.executable, "-m", "snakemake", "--cores", "all", *found, *given[1:]])


if __name__ == "__main__":
    main(sys.argv[1:])

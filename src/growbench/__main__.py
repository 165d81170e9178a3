"""`python -m growbench`: the command line without its installed script."""

import sys

from growbench.runtime import warm


def main() -> int:
    """Run one verb and return its exit status; in a workflow's warm process, if it has one."""
    warm.run()
    from growbench.cli.main import main as run  # not before: a job that is handed over needs nothing of it

    return run()


sys.exit(main())

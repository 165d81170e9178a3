"""Make the golden results again (make golden).

A result that changed without its version raised is refused with the line that says which version to raise: finished runs would
otherwise be taken for results of today's code.
"""

import sys
from collections.abc import Callable

from golden import growth, training
from golden.entry import Entry, read, unexplained, write
from golden.tolerances import CURVES, WEIGHTS
from growbench import families


def made(name: str, keys: list[str], make: Callable[[str], Entry], tolerance: float) -> bool:
    """Write the entries of one file again; return whether every change is explained. What is not stays as it was."""
    old, new, right = read(name), {}, True
    for key in keys:
        new[key] = make(key)
        if line := unexplained(old[key], new[key], tolerance) if key in old else "":
            print(f"tests/golden/{name}.json: {key}: {line}", file=sys.stderr)
            new[key], right = old[key], False
    write(name, new)
    return right


def main() -> int:
    right = [made(name, [name], growth.entry, WEIGHTS) for name in families.names()]
    right.append(made("training", list(training.CASES), training.entry, CURVES))
    return int(not all(right))


if __name__ == "__main__":
    sys.exit(main())

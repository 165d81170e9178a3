"""Feed broken and hostile input to the command line, and count how it ends.

    PYTHONPATH=src:tests python -m fuzz --cases 1000 --seconds 600 --seed 0 [--area config --area records]

Each case runs in a forked process of its own. A good ending is one clean line with status 2, or an acceptance that the area's own
judgment calls right. Everything else is a fault: a traceback, a wrong acceptance, another status, or no end. Faults are printed with
what was changed; the same --seed makes the same cases. Exit status 1 if there was a fault.
"""

import argparse
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from fuzz import child
from fuzz.area import Area, Case
from fuzz.checkpoints import Checkpoints
from fuzz.configs import Config, ConfigBytes, Words
from fuzz.results import Curves, Manifests, Records
from fuzz.texts import Tasks, Text

AREAS: tuple[type[Area], ...] = (Config, ConfigBytes, Words, Text, Tasks, Records, Curves, Manifests, Checkpoints)

GOOD = ("clean line", "right acceptance")
ENDINGS = (*GOOD, "traceback", "wrong acceptance", "other status", "hang")


def ending(area: Area, case: Case) -> tuple[str, str]:
    """Run a case; return how it ended, and what it printed last."""
    outcome = child.run(case.words, area.folder, area.seconds)
    told = "\n".join((outcome.err or outcome.out).splitlines()[-6:])
    if outcome.status == child.TIMEOUT:
        return "hang", told
    if "Traceback (most recent call last)" in outcome.err or outcome.status == child.TRACEBACK:
        return "traceback", told
    if outcome.status == 0:
        return "right acceptance" if case.right(outcome) else "wrong acceptance", told
    return "clean line" if outcome.clean else "other status", told


def fuzzed(kind: type[Area], cases: int, seconds: float, seed: int, folder: Path) -> Counter[str]:
    """Run an area's cases until they or the seconds are used up; return how often each ending came."""
    area, found, until = kind(folder), Counter[str](), time.monotonic() + seconds
    folder.mkdir(parents=True, exist_ok=True)
    area.prepare()
    for number in range(cases):
        if time.monotonic() > until:
            break
        case = area.case(random.Random(f"{kind.name}/{seed}/{number}"))
        try:
            how, told = ending(area, case)
        finally:
            case.undo()
            area.clean()
        found[how] += 1
        if how not in GOOD:
            print(
                f"{kind.name} {number}: {how}\n  changed: {case.note[:600]}\n  command: {' '.join(case.words)[:300]}\n  {told}\n",
                flush=True,
            )
    return found


def main() -> int:
    names = [kind.name for kind in AREAS]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=200, help="of each area (200)")
    parser.add_argument("--seconds", type=float, default=600.0, help="for each area at most (600)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--area", action="append", choices=names, help="one area; may be repeated")
    args = parser.parse_args()
    child.warm()
    faults = 0
    with tempfile.TemporaryDirectory(prefix="growbench-fuzz-") as place:
        print(" | ".join(("area", *ENDINGS)))
        for kind in AREAS:
            if args.area and kind.name not in args.area:
                continue
            found = fuzzed(
                kind, args.cases, args.seconds, args.seed, Path(place, kind.name.replace(" ", "_").strip("-"))
            )
            print(" | ".join((kind.name, *(str(found[how]) for how in ENDINGS))), flush=True)
            faults += sum(count for how, count in found.items() if how not in GOOD)
    return int(faults > 0)


if __name__ == "__main__":
    sys.exit(main())

"""Feed broken and hostile input to the command line, and count how it ends.

    PYTHONPATH=src:tests python -m fuzz --cases 1000 --seconds 600 --seed 0 [--jobs 2] [--area config --area records]
    [--report FILE]

Each case runs in a forked process of its own. A good ending is one clean line with status 2, or an acceptance that the area's own
judgment calls right. Everything else is a fault: a traceback, a wrong acceptance, a wrong refusal, another status, a control
character on the terminal, or no end. Faults are printed with what was changed; the same --seed makes the same cases. Exit status 1 if
there was a fault.
"""

import argparse
import multiprocessing
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import Future, ProcessPoolExecutor
from pathlib import Path

from fuzz import child
from fuzz.area import Area, Case
from fuzz.checkpoints import Checkpoints
from fuzz.configs import Config, ConfigBytes, Trained, Words
from fuzz.files import GrowWords, MethodFiles, Sets
from fuzz.growths import Growths
from fuzz.results import Curves, Manifests, Records, Runs
from fuzz.texts import Tasks, Text

AREAS: tuple[type[Area], ...] = (
    Runs, Manifests, Records, Curves, Checkpoints, Growths, GrowWords, Trained, Config, ConfigBytes, Words, Text, Tasks, Sets,
    MethodFiles,
)  # fmt: skip

GOOD = ("clean line", "right acceptance")
FAULTS = ("traceback", "wrong acceptance", "wrong refusal", "other status", "control character", "hang")
ENDINGS = (*GOOD, *FAULTS)


def ending(area: Area, case: Case) -> tuple[str, str]:
    """Run a case; return how it ended, and what it printed last."""
    outcome = child.run(case.words, area.folder, area.seconds, case.before)
    told = "\n".join((outcome.err or outcome.out).splitlines()[-6:])
    if outcome.status == child.TIMEOUT:
        return "hang", told
    if "Traceback (most recent call last)" in outcome.err or outcome.status == child.TRACEBACK:
        return "traceback", told
    if outcome.raw:
        return "control character", ascii(told)
    if outcome.status == 0:
        return "right acceptance" if case.right(outcome) else "wrong acceptance", told
    if outcome.clean:
        return "clean line" if case.refusal(outcome) else "wrong refusal", told
    return "other status", f"status {outcome.status}: {told}"


def fuzzed(kind: type[Area], cases: int, seconds: float, seed: int, folder: Path) -> Counter[str]:
    """Run an area's cases until they or the seconds are used up; return how often each ending came."""
    folder.mkdir(parents=True, exist_ok=True)
    area, found = kind(folder), Counter[str]()
    area.prepare()
    until = time.monotonic() + seconds
    for number in range(round(cases * kind.share) or 1):
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


def page(found: Mapping[str, Counter[str]], seed: int, commit: str) -> str:
    """Return the counts as a Markdown table."""
    total = sum(found.values(), Counter[str]())
    rows = [("area", "inputs", *ENDINGS), ("---",) * (len(ENDINGS) + 2)]
    for name, counts in [*found.items(), ("all", total)]:
        rows.append((name, *(str(n) for n in (counts.total(), *(counts[how] for how in ENDINGS)))))
    table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    return f"Seed {seed}, commit {commit}.\n\n{table}\n"


def _counts(name: str, job: Future[Counter[str]]) -> Counter[str]:
    """Return what an area found; an area that broke is a fault of its own."""
    if error := job.exception():
        print(f"{name}: broke: {error}\n", flush=True)
        return Counter({"other status": 1})
    return job.result()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=200, help="of each area (200)")
    parser.add_argument("--seconds", type=float, default=600.0, help="for each area at most (600)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=1, help="areas at a time (1)")
    parser.add_argument("--area", action="append", choices=[kind.name for kind in AREAS], help="may be repeated")
    parser.add_argument("--report", type=Path, help="write the counts to this file, as a Markdown table")
    return parser.parse_args()


def main() -> int:
    args = _arguments()
    child.warm()
    chosen = [kind for kind in AREAS if not args.area or kind.name in args.area]
    with (
        child.at_one_commit() as commit,
        tempfile.TemporaryDirectory(prefix="growbench-fuzz-") as place,
        ProcessPoolExecutor(args.jobs, mp_context=multiprocessing.get_context("fork")) as pool,
    ):
        jobs = {
            kind.name: pool.submit(
                fuzzed, kind, args.cases, args.seconds, args.seed, Path(place, kind.__name__.lower())
            )
            for kind in chosen
        }
        found = {name: _counts(name, job) for name, job in jobs.items()}
    text = page(found, args.seed, commit)
    print(text)
    if args.report is not None:
        args.report.write_text(text, encoding="utf-8")
    return int(any(counts[how] for counts in found.values() for how in FAULTS))


if __name__ == "__main__":
    sys.exit(main())

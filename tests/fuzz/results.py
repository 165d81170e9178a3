"""Fuzzed records, curves, manifests and what lies beside them."""

import json
import random
import shutil
from pathlib import Path

from fuzz import mutate, small_study
from fuzz.area import Area, Case, Judgment, always_right, never_right


class Records(Area):
    """Records, curves and manifests of a finished study: what is not what was written is never aggregated."""

    name = "records"
    PATTERNS = ("records/*/*.json",)

    def prepare(self) -> None:
        self.named = small_study.write(self.folder)
        runs = ("source", *small_study.METHODS)
        self.succeed(["corpus", *self.named])
        for name in runs:
            self.succeed(["pretrain", *self.named, "--method", name, "--seed", "0"])
        for name in runs:
            self.succeed(["finetune", *self.named, "--method", name, "--seed", "0", "--points", "p100"])
        self.succeed(["aggregate", *self.named])
        root = self.folder / "results/small"
        self.paths = sorted(path for pattern in self.PATTERNS for path in root.glob(pattern))
        self.words = ["aggregate", *self.named]

    def case(self, rng: random.Random) -> Case:
        path = rng.choice(self.paths)
        data = path.read_bytes()
        if path.suffix == ".json" and rng.random() < 0.8:
            made = mutate.dumped(mutate.nested(json.loads(data), rng)).encode("utf-8", "surrogatepass")
        else:
            made = mutate.raw(data, rng)
        case = Case(
            self.words, f"{path.relative_to(self.folder)}: {difference(data, made)}", self._same(path, data, made)
        )
        case.put(path, made)
        return case

    @staticmethod
    def _same(path: Path, before: bytes, after: bytes) -> Judgment:
        """An acceptance is right if the file says the same as before (other white space in JSON)."""
        if before == after:
            return always_right
        try:
            return always_right if path.suffix == ".json" and json.loads(before) == json.loads(after) else never_right
        except ValueError:
            return never_right


class Curves(Records):
    """Curves beside the records."""

    name = "curves"
    PATTERNS = ("records/*/*.csv",)


class Manifests(Records):
    """The corpus' manifest and ids, the tasks' files, finished points: read by a fine-tuning that is asked for again."""

    name = "manifests"
    seconds = 120.0
    PATTERNS = (
        "corpus/manifest.json",
        "corpus/*.bin",
        "tasks/manifest.json",
        "tasks/*/*.tsv",
        "runs/scratch-s0/points/p100/*",
    )

    def prepare(self) -> None:
        super().prepare()
        shutil.rmtree(self.folder / "results/small/runs/scratch-s0/finetune", ignore_errors=True)
        self.words = ["finetune", *self.named, "--method", "scratch", "--seed", "0", "--points", "p100"]


def difference(before: bytes, after: bytes) -> str:
    """Return where two files begin to differ, and how."""
    place = next(
        (i for i, (a, b) in enumerate(zip(before, after, strict=False)) if a != b), min(len(before), len(after))
    )
    return f"{len(before)} -> {len(after)} bytes, at {place}: {before[place : place + 30]!r} -> {after[place : place + 30]!r}"

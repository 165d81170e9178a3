"""Fuzzed records, curves, manifests and what lies beside them."""

import fcntl
import json
import random
import shutil
from pathlib import Path

from support.same_bytes import compared

from fuzz import child, mutate, small_study
from fuzz.area import Area, Case, Judgment, always_right, never_right
from fuzz.child import Outcome


class Finished(Area):
    """Files of a finished study. One study is trained and copied by every area.

    PATTERNS: the files that are changed, below the study's folder.
    """

    PATTERNS: tuple[str, ...] = ()

    def prepare(self) -> None:
        shutil.copytree(finished(self.folder.parent), self.folder, dirs_exist_ok=True)
        self.root = self.folder / "results/small"
        self.paths = sorted({path for pattern in self.PATTERNS for path in self.root.glob(pattern) if path.is_file()})
        self.named = ["--config", small_study.FILE]

    def changed(self, path: Path, rng: random.Random) -> bytes:
        """Return the bytes of a file with one change."""
        data = path.read_bytes()
        if path.suffix == ".json" and rng.random() < 0.8:
            return mutate.dumped(mutate.nested(json.loads(data), rng)).encode("utf-8", "surrogatepass")
        return mutate.raw(data, rng)

    def note(self, path: Path, made: bytes) -> str:
        return f"{path.relative_to(self.folder)}: {difference(path.read_bytes(), made)}"


class Records(Finished):
    """Records of a finished study: what is not what was written is never aggregated."""

    name = "records"
    PATTERNS = ("records/*/*.json",)

    def case(self, rng: random.Random) -> Case:
        path = rng.choice(self.paths)
        before, made = path.read_bytes(), self.changed(path, rng)
        case = Case(["aggregate", *self.named], self.note(path, made), self._same(path, before, made))
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


class Rerun(Finished):
    """A job that is asked for again after a file that it reads was changed: it refuses, or ends with the undisturbed bytes.

    WORDS: of the command. MADE: what it writes; removed first if REMOVED, so that it must be made again.
    """

    seconds = 180.0
    WORDS: tuple[str, ...] = ()
    MADE: tuple[str, ...] = ()
    REMOVED = True

    def prepare(self) -> None:
        super().prepare()
        shutil.copytree(self.folder, self.folder.parent / f"{self.folder.name}.whole", dirs_exist_ok=True)

    def case(self, rng: random.Random) -> Case:
        path = rng.choice(self.paths)
        made = self.changed(path, rng)
        case = Case([self.WORDS[0], *self.named, *self.WORDS[1:]], self.note(path, made), self._undisturbed)
        case.put(path, made)
        for pattern in self.MADE if self.REMOVED else ():
            for file in self.root.glob(pattern):
                file.unlink()
        return case

    def _undisturbed(self, outcome: Outcome) -> bool:
        whole = self.folder.parent / f"{self.folder.name}.whole" / "results/small"
        for pattern in self.MADE:
            files = [(file, self.root / file.relative_to(whole)) for file in whole.glob(pattern) if file.is_file()]
            if not all(own.exists() and compared(own) == compared(file) for file, own in files):
                return False
        return True

    def clean(self) -> None:
        shutil.rmtree(self.folder)
        shutil.copytree(self.folder.parent / f"{self.folder.name}.whole", self.folder)


class Manifests(Rerun):
    """The corpus, its tokenizer, the tasks' files and the finished point, read by a fine-tuning."""

    name = "manifests"
    PATTERNS = (
        "corpus/manifest.json", "corpus/*.bin", "corpus/tokenizer/*", "tasks/manifest.json", "tasks/*/*.tsv",
        "runs/scratch-s0/points/p100/*", "records/pretrain/scratch-s0.json",
    )  # fmt: skip
    WORDS = ("finetune", "--method", "scratch", "--seed", "0", "--points", "p100")
    MADE = ("records/finetune/scratch-s0-p100.json",)


class Runs(Rerun):
    """A run's folder, what it starts from, and its record: the run is made again, or was not disturbed."""

    name = "run folders"
    PATTERNS = (
        "corpus/manifest.json", "corpus/*.bin", "runs/zero_pad-s0/**/*", "runs/source-s0/points/**/*",
        "records/pretrain/source-s0.*", "records/pretrain/zero_pad-s0.*",
    )  # fmt: skip
    WORDS = ("pretrain", "--method", "zero_pad", "--seed", "0")
    MADE = (  # a point's list of files is judged by the files
        "records/pretrain/zero_pad-s0.*", "runs/zero_pad-s0/points/*/*.safetensors", "runs/zero_pad-s0/points/*/config.json",
        "runs/zero_pad-s0/points/*/identity.json",
    )  # fmt: skip
    REMOVED = False


def finished(folder: Path) -> Path:
    """Return the folder of a finished study below `folder`; it is trained once, by whichever process comes first."""
    place = folder / "finished"
    with open(folder / "finished.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not place.exists():
            making = folder / "finishing"
            _train(making)
            making.rename(place)
    return place


def _train(folder: Path) -> None:
    named, runs = small_study.write(folder), ("source", *small_study.METHODS)
    jobs = [["corpus", *named]]
    jobs += [["pretrain", *named, "--method", name, "--seed", "0"] for name in runs]
    jobs += [["finetune", *named, "--method", name, "--seed", "0", "--points", "p100"] for name in runs]
    for words in [*jobs, ["aggregate", *named]]:
        done = child.run(words, folder, 600)
        if done.status:
            raise RuntimeError(f"{' '.join(words)} ended with {done.status}\n{done.err}")


def difference(before: bytes, after: bytes) -> str:
    """Return where two files begin to differ, and how."""
    place = next(
        (i for i, (a, b) in enumerate(zip(before, after, strict=False)) if a != b), min(len(before), len(after))
    )
    return f"{len(before)} -> {len(after)} bytes, at {place}: {before[place : place + 30]!r} -> {after[place : place + 30]!r}"

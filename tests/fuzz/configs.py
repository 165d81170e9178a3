"""Fuzzed configs: values, bytes, and words of `--set`."""

import random
from typing import Any

from fuzz import child, mutate, small_study
from fuzz.area import Area, Case, Judgment
from fuzz.child import Outcome


class Config(Area):
    """A study's file with one to three values changed. What is accepted must also have a plan."""

    name = "config"

    def case(self, rng: random.Random) -> Case:
        values = small_study.values()
        for _ in range(rng.choice((1, 1, 2, 3))):
            values = (mutate.near if rng.random() < 0.7 else mutate.nested)(values, rng)
        case = Case(["check", "--config", "case.json"], mutate.dumped(values), self._planned)
        case.put(self.folder / "case.json", mutate.dumped(values).encode("utf-8", "surrogatepass"))
        return case

    def _planned(self, outcome: Outcome) -> bool:
        done = child.run(["plan", "--config", "case.json", "--no-timing", "--json"], self.folder, self.seconds)
        return done.status == 0 or done.clean


class ConfigBytes(Config):
    """A study's file whose bytes are damaged."""

    name = "config bytes"

    def prepare(self) -> None:
        small_study.write(self.folder)

    def case(self, rng: random.Random) -> Case:
        data = (self.folder / small_study.FILE).read_bytes()
        for _ in range(rng.choice((1, 2))):
            data = mutate.raw(data, rng)
        case = Case(["check", "--config", "case.json"], repr(data[:200]), self._planned)
        case.put(self.folder / "case.json", data)
        return case


class Words(Area):
    """Words of `--set`."""

    name = "--set"

    def prepare(self) -> None:
        self.named = small_study.write(self.folder)
        self.keys = [
            ".".join(map(str, path)) for path in mutate.places(small_study.values()) if isinstance(path[-1], str)
        ]

    def case(self, rng: random.Random) -> Case:
        key = rng.choice(self.keys)
        if rng.random() < 0.6:
            _, text = self._near(key, rng)
            return Case(["check", *self.named, f"--set={text}"], text, self._taken(text))
        value = mutate.dumped(rng.choice(mutate.ODD))
        text = rng.choice(
            (f"{key}={value}", f"{key}{value}", f"{key}.x={value}", f".{key}=1", f"{key}=[", f"{key}={{a: ", value)
        )
        text = text.replace("\x00", "")
        return Case(["check", *self.named, f"--set={text}"], text, self._taken(text))

    @staticmethod
    def _near(key: str, rng: random.Random) -> tuple[Any, str]:
        """Return a value that a person might give a key, and the word that says so."""
        value: Any = small_study.values()
        for part in key.split("."):
            value = value[part]
        value = mutate.written(value, rng)
        return value, f"{key}={mutate.dumped(value)}"

    def _taken(self, text: str) -> Judgment:
        """An acceptance is right if the study has a plan."""

        def right(outcome: Outcome) -> bool:
            words = ["plan", *self.named, f"--set={text}", "--no-timing", "--json"]
            done = child.run(words, self.folder, self.seconds)
            return done.status == 0 or done.clean

        return right


class Trained(Area):
    """A study's file with near values that `check` accepts, run to its tables: no job is refused by a traceback."""

    name = "trained configs"
    seconds = 240.0
    share = 0.05
    leaves = "results"
    JOBS = (
        ("corpus",), ("pretrain", "--method", "source", "--seed", "0"), ("pretrain", "--method", "zero_pad", "--seed", "0"),
        ("pretrain", "--method", "scratch", "--seed", "0"), ("finetune", "--method", "zero_pad", "--seed", "0", "--points", "p100"),
        ("finetune", "--method", "scratch", "--seed", "0", "--points", "p100"),
    )  # fmt: skip

    def case(self, rng: random.Random) -> Case:
        while True:
            values = mutate.near(mutate.near(small_study.values(finetune={"source": False}), rng), rng)
            case = Case(["check", "--config", "case.json"], mutate.dumped(values), self._runs)
            case.put(self.folder / "case.json", mutate.dumped(values).encode())
            if child.run(case.words, self.folder).status == 0:
                return case

    def _runs(self, outcome: Outcome) -> bool:
        for verb, *words in self.JOBS:
            done = child.run([verb, "--config", "case.json", *words], self.folder, self.seconds)
            if done.status and not done.clean:
                print("\n".join(done.err.splitlines()[-4:]), flush=True)
                return False
        return True

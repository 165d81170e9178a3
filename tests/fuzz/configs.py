"""Fuzzed configs: values, bytes, and words of `--set`."""

import random
from typing import Any

from fuzz import child, mutate, small_study
from fuzz.area import Area, Case, Judgment
from fuzz.child import Outcome
from growbench.study import files


class Config(Area):
    """A study's file with one to three values changed. What is accepted must also have a plan."""

    name = "config"

    def prepare(self) -> None:
        for variant in small_study.VARIANTS:
            self.succeed(["check", *small_study.write(self.folder, **variant)])

    def case(self, rng: random.Random) -> Case:
        values = small_study.values(**rng.choice(small_study.VARIANTS))
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

    def case(self, rng: random.Random) -> Case:
        values = small_study.values(**rng.choice(small_study.VARIANTS))
        key = rng.choice([path for path in mutate.places(values) if all(isinstance(part, str) for part in path)])
        if rng.random() < 0.6:
            text = f"{'.'.join(key)}={mutate.dumped(mutate.written(mutate.at(values, key), rng))}"
            return self._of(values, text)
        name = ".".join(key)
        value = mutate.dumped(rng.choice(mutate.ODD))
        text = rng.choice(
            (
                f"{name}={value}",
                f"{name}{value}",
                f"{name}.x={value}",
                f".{name}=1",
                f"{name}=[",
                f"{name}={{a: ",
                value,
            )
        )
        text = text.replace("\x00", "")
        return self._of(values, text)

    def _of(self, values: dict[str, Any], text: str) -> Case:
        case = Case(["check", *self.named, f"--set={text}"], text, self._taken(text))
        case.put(self.folder / small_study.FILE, mutate.dumped(values).encode())
        return case

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
        ("corpus",), ("search", "--method", "scratch"), ("pretrain", "--method", "source", "--seed", "0"),
        ("pretrain", "--method", "zero_pad", "--seed", "0"), ("pretrain", "--method", "scratch", "--seed", "0"), ("finetune", "--method", "zero_pad", "--seed", "0", "--points", "p100"),
        ("finetune", "--method", "scratch", "--seed", "0", "--points", "p100"),
    )  # fmt: skip

    def case(self, rng: random.Random) -> Case:
        while True:
            variant = rng.choice(small_study.VARIANTS)
            changes = files.merged(variant, {"finetune": {"source": False}})
            values = mutate.near(mutate.near(small_study.values(**changes), rng), rng)
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

"""Fuzzed configs: values, bytes, and words of `--set`."""

import random

from fuzz import child, mutate, small_study
from fuzz.area import Area, Case
from fuzz.child import Outcome


class Config(Area):
    """A study's file with one to three values changed. What is accepted must also have a plan."""

    name = "config"

    def case(self, rng: random.Random) -> Case:
        values = small_study.values()
        for _ in range(rng.choice((1, 1, 2, 3))):
            values = mutate.nested(values, rng)
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
        key, value = rng.choice(self.keys), mutate.dumped(rng.choice(mutate.ODD))
        text = rng.choice(
            (f"{key}={value}", f"{key}{value}", f"{key}.x={value}", f".{key}=1", f"{key}=[", f"{key}={{a: ", value)
        )
        text = text.replace("\x00", "")
        return Case(["check", *self.named, f"--set={text}"], text)

"""The contract of a method file: how each space is widened, how depth is filled, and which stages are trained.

A method file defines a subclass of Method and its instance METHOD. Nothing in it knows an architecture. The file's
name is the method's name everywhere: config, DAG, records, tables, colours.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from growbench.errors import GrowBenchError, nearest
from growbench.growth.maps import Layer, Widening, stacked
from growbench.plan import Plan, Stage
from growbench.spec import ModelSpec


@dataclass(frozen=True, slots=True)
class Option:
    """One option of a method: default, allowed values (or a (low, high) range), and what it means."""

    default: Any
    help: str
    choices: tuple[Any, ...] = ()
    range: tuple[float, float] | None = None

    def check(self, key: str, value: Any) -> Any:
        if self.choices and value not in self.choices:
            raise GrowBenchError(f"{key}: {value!r} is not allowed; {nearest(str(value), map(str, self.choices))}")
        if self.range is not None and value is not None:
            low, high = self.range
            if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
                raise GrowBenchError(f"{key}: {value!r} is not allowed; use a number from {low} to {high}")
        return value


COMMON = {"lr": Option(None, "peak LR of this method; null takes optimizer.lr", range=(1e-8, 1.0))}


class Method:
    """One growth method.

    title, paper: for tables. grows: axes among layers, hidden, heads, ffn. needs_source: starts from the trained
    source. preserves: when the grown model computes the source's function. options: by name, besides COMMON.
    """

    title: str
    paper: str
    grows: tuple[str, ...] = ("layers", "hidden", "heads", "ffn")
    needs_source: bool = True
    needs_data: bool = False
    preserves: str = "no"
    options: Mapping[str, Option] = {}

    def check_options(self, options: Mapping[str, Any] | None) -> dict[str, Any]:
        """Return all options with defaults filled in; raise GrowBenchError on an unknown key or value."""
        known = {**COMMON, **self.options}
        for key in options or {}:
            if key not in known:
                raise GrowBenchError(f"methods.{self.name}.{key}: unknown option; {nearest(key, known)}")
        given = {key: option.default for key, option in known.items()} | dict(options or {})
        return {key: known[key].check(f"methods.{self.name}.{key}", value) for key, value in given.items()}

    @property
    def name(self) -> str:
        return type(self).__module__.rsplit(".", 1)[-1]

    def widen(
        self, source: ModelSpec, target: ModelSpec, options: Mapping[str, Any], rng: np.random.Generator
    ) -> Widening:
        """Return the maps of every space; only called when the method grows something."""
        raise NotImplementedError(f"{self.name} grows nothing")

    def deepen(self, source_layers: int, target_layers: int, options: Mapping[str, Any]) -> tuple[Layer, ...]:
        """Return where each target layer comes from."""
        return stacked(source_layers, target_layers)

    def plan(self, source: ModelSpec, target: ModelSpec, options: Mapping[str, Any]) -> Plan:
        """Return the stages; by default: grow the source once, then train the target."""
        return Plan(stages=(Stage(spec=target, until=1.0, enter="source"),))

    def row(self) -> dict[str, Any]:
        """Return this method's row of the methods table."""
        return {
            "method": self.name,
            "title": self.title,
            "paper": self.paper,
            "grows": ", ".join(self.grows) or "-",
            "needs source": "yes" if self.needs_source else "no",
            "preserves the function": self.preserves,
            "options": ", ".join(f"{k}={o.default}" for k, o in self.options.items()) or "-",
        }

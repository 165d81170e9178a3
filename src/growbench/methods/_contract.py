"""The contract of a method file: how each space is widened, how depth is filled, and which stages are trained.

A method file defines a subclass of Method and its instance METHOD. Nothing in it knows an architecture. The file's
name is the method's name everywhere: config, DAG, records, tables, colours.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from growbench.errors import GrowBenchError, nearest
from growbench.growth.depth import Depth, stacked
from growbench.growth.widening import Widening, widen
from growbench.plan.plan import Plan, Prices, Stage
from growbench.spec import SHAPE_KEYS, ModelSpec, Traits, check_growth, integer

NEGLIGIBLE_EPS = 1e-11  # an epsilon below it moves a logit by less than 1e-10 of the scale


@dataclass(frozen=True, slots=True)
class Option:
    """One option of a method: default, allowed values, or a (low, high) range, or both, or any text; and what it means."""

    default: Any
    help: str
    choices: tuple[Any, ...] = ()
    range: tuple[float, float] | None = None
    text: bool = False

    def check(self, key: str, value: Any) -> Any:
        if value is None and self.default is not None:
            raise GrowBenchError(f"{key}: null is not allowed; leave it out for the default {self.default!r}")
        if isinstance(self.default, int):
            value = integer(value)
        if any(value == choice and type(value) is type(choice) for choice in self.choices):
            return value
        if self.text and value is not None and not (isinstance(value, str) and value):
            raise GrowBenchError(f"{key}: {value!r} is not allowed; use a text")
        if self.choices and (self.range is None or isinstance(value, str)):
            raise GrowBenchError(f"{key}: {value!r} is not allowed; {nearest(str(value), map(str, self.choices))}")
        if self.range is not None and value is not None:
            low, high = self.range
            if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
                raise GrowBenchError(f"{key}: {value!r} is not allowed; use a number from {low} to {high}")
            if isinstance(self.default, int) and not isinstance(value, int):
                raise GrowBenchError(f"{key}: {value!r} is not allowed; use an integer from {low} to {high}")
        return value


COMMON = {
    "lr": Option(None, "peak LR of this method; null takes optimizer.lr", range=(1e-8, 1.0)),
    "of": Option(None, "the method that this is a variant of, under a name of its own; null takes the name", text=True),
    "plan": Option(
        None, "a file with the plan, as `growbench plan --json` prints it; null lets the method make it", text=True
    ),
}


class Method:
    """One growth method.

    title, paper: for tables. grows: axes among layers, hidden, heads, ffn. ratios: what it accepts, in words.
    needs_source: starts from the trained source. needs_data: reads text to make its maps. shrinks: the target is the
    smaller model. masked: what it adds is hidden behind masks while training (growth/masking.py). control: its budget
    is raised by what the source cost. ends: the shape that its last stage trains. preserves: when the grown model computes the source's function, in words; `exact` says the same
    to a program. options: by name, besides COMMON.
    """

    title: str
    paper: str
    grows: tuple[str, ...] = ("layers", "hidden", "heads", "ffn")
    ratios: str = "any"
    needs_source: bool = True
    needs_data: bool = False
    shrinks: bool = False
    masked: bool = False
    control: bool = False
    ends: Literal["target", "source"] = "target"
    preserves: str = "no"
    options: Mapping[str, Option] = {}

    def check_options(self, options: Mapping[str, Any] | None, label: str | None = None) -> dict[str, Any]:
        """Return all options with defaults filled in; raise GrowBenchError on an unknown key or value.

        label: the name that the config gives to a variant of this method.
        """
        known, name = {**COMMON, **self.options}, label or self.name
        for key in options or {}:
            if key not in known:
                raise GrowBenchError(f"methods.{name}.{key}: unknown option; {nearest(key, known)}")
        given = {key: option.default for key, option in known.items()} | dict(options or {})
        return {key: known[key].check(f"methods.{name}.{key}", value) for key, value in given.items()}

    @property
    def name(self) -> str:
        return type(self).__module__.rsplit(".", 1)[-1]

    @property
    def reads_source(self) -> bool:
        """Whether a run needs the source's record: its weights, or what it cost."""
        return self.needs_source or self.control

    def check(self, source: ModelSpec, target: ModelSpec, traits: Traits, options: Mapping[str, Any]) -> None:
        """Raise GrowBenchError where this method cannot make this target from this source."""
        check_growth(*((target, source) if self.shrinks else (source, target)))
        for key in (k for k in SHAPE_KEYS if k != "head_size"):
            axis, small, big = "heads" if key == "kv_heads" else key, getattr(source, key), getattr(target, key)
            if big > small and axis not in self.grows:
                raise GrowBenchError(
                    f"target.{key}: {self.name} grows {', '.join(self.grows) or 'nothing'}, not {axis}; keep {small}"
                )

    def exact(self, source: ModelSpec, target: ModelSpec, traits: Traits, options: Mapping[str, Any]) -> bool:
        """Whether the target computes the source's function, for a growth that `check` accepts."""
        return False

    def widen(
        self, source: ModelSpec, target: ModelSpec, options: Mapping[str, Any], rng: np.random.Generator
    ) -> Widening:
        """Return the maps of every space; by default: whole copies, as a method that grows only depth needs them."""
        return widen(source, target, "balanced", rng)

    def deepen(self, source_layers: int, target_layers: int, options: Mapping[str, Any]) -> Depth:
        """Return where each target layer comes from."""
        return stacked(source_layers, target_layers)

    def plan(self, source: ModelSpec, target: ModelSpec, options: Mapping[str, Any], prices: Prices) -> Plan:
        """Return the stages; by default: grow the source once, then train the target."""
        return Plan(stages=(Stage(spec=target, until=1.0, enter="source"),))

    def row(self) -> dict[str, Any]:
        """Return this method's row of the methods table."""
        return {
            "method": self.name,
            "title": self.title,
            "paper": self.paper,
            "grows": ("shrinks " if self.shrinks else "") + ", ".join(self.grows) or "-",
            "ratios": self.ratios if self.grows else "-",
            "needs source": "yes" if self.needs_source else "no",
            "needs data": "yes" if self.needs_data else "no",
            "preserves the function": self.preserves,
            "options": ", ".join(f"{k}={o.default}" for k, o in self.options.items()) or "-",
        }


def whole_copies(source: ModelSpec, target: ModelSpec) -> bool:
    """Whether the residual stream grows by a whole number, the condition of LayerNorm and RMSNorm for exact copying."""
    return target.hidden % source.hidden == 0


def identity_depth(source: ModelSpec, target: ModelSpec, traits: Traits) -> bool:
    """Whether silent layers are exact identities: under post-LN a norm is applied twice, which its epsilon shows."""
    return (
        source.layers == target.layers or traits.pre_norm or (traits.eps is not None and traits.eps <= NEGLIGIBLE_EPS)
    )


def require_multiples(source: ModelSpec, target: ModelSpec, keys: tuple[str, ...], name: str) -> None:
    """Raise GrowBenchError unless each of these sizes grows by a whole number."""
    for key in keys:
        small, big = getattr(source, key), getattr(target, key)
        if big % small:
            near = max(2, round(big / small)) * small
            raise GrowBenchError(
                f"target.{key}: {big} is not a multiple of the source's {small}, as {name} needs; use {near}"
            )


def require_whole_groups(source: ModelSpec, target: ModelSpec, name: str) -> None:
    """Raise GrowBenchError unless query heads of a group grow by a whole number, so that every copy finds its partner."""
    small, big = source.heads // source.kv_heads, target.heads // target.kv_heads
    if big % small:
        raise GrowBenchError(
            f"target.heads: {target.heads} over {target.kv_heads} key/value heads is {big} a group, no multiple of the "
            f"source's {small}, as {name} needs; use {max(1, round(big / small)) * small * target.kv_heads}"
        )

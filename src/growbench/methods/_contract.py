"""The contract of a method file: how each space is widened, how depth is filled, and which stages are trained.

A method file defines a subclass of Method and its instance METHOD. It knows nothing about architectures. The name of
the file is the method's name everywhere: config, DAG, records, tables, colors.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from growbench.errors import GrowBenchError, nearest
from growbench.growth.depth import Depth, stacked
from growbench.growth.learned.parts import Anatomy
from growbench.growth.learned.recipe import Learned, Learning
from growbench.growth.mixing import Mixing
from growbench.growth.widening import Widening, widen
from growbench.plan.plan import Plan, Prices, Stage
from growbench.spec import SHAPE_KEYS, ModelSpec, Traits, check_growth, integer

ALWAYS = object()  # an option that its method always had
NEGLIGIBLE_EPS = 1e-11  # an epsilon below it moves a logit by less than 1e-10 of the scale


@dataclass(frozen=True, slots=True)
class Option:
    """One option of a method.

    default: its value if the config leaves it out.
    help: what it means.
    choices: allowed values; empty if there is no such list.
    range: lowest and highest allowed number; None if it is not a number.
    text: whether any text is allowed.
    whole: whether a number must be an integer; it must if the default is one.
    older: the value that runs had before the method had this option. With it, nothing tells them apart from such runs.
    """

    default: Any
    help: str
    choices: tuple[Any, ...] = ()
    range: tuple[float, float] | None = None
    text: bool = False
    whole: bool = False
    older: Any = ALWAYS

    def check(self, key: str, value: Any) -> Any:
        """Return the value, an integer where one is wanted. Raises GrowBenchError if it is not allowed."""
        if value is None and self.default is not None:
            raise GrowBenchError(f"{key}: null is not allowed; leave it out for the default {self.default!r}")
        if self.whole or isinstance(self.default, int):
            value = integer(value)
        if any(value == choice and type(value) is type(choice) for choice in self.choices):
            return value
        if self.text and value is not None and not (isinstance(value, str) and value):
            raise GrowBenchError(f"{key}: {value!r} is not allowed; use text")
        if self.choices and (self.range is None or isinstance(value, str)):
            raise GrowBenchError(f"{key}: unknown value {value!r}; {nearest(str(value), map(str, self.choices))}")
        if self.range is not None and value is not None:
            self._check_range(key, value, *self.range)
        return value

    def _check_range(self, key: str, value: Any, low: float, high: float) -> None:
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            raise GrowBenchError(f"{key}: {value!r} is not allowed; use a number from {low} to {high}")
        if (self.whole or isinstance(self.default, int)) and not isinstance(value, int):
            raise GrowBenchError(f"{key}: {value!r} is not allowed; use an integer from {low} to {high}")


COMMON = {
    "lr": Option(None, "peak LR of this method; null takes optimizer.lr", range=(1e-8, 1.0)),
    "warmup": Option(
        None, "steps of this method's warm-up; null takes optimizer.warmup", range=(0, 1_000_000_000), whole=True
    ),
    "source_point": Option(
        None, "finished point of the source that is grown, one of source.points; null takes the last", range=(1e-6, 1.0)
    ),
    "tuned_as": Option(
        None, "a method whose searched LR and warm-up this one takes; null searches this one by itself", text=True
    ),
    "of": Option(None, "the method of which this is a variant; null takes the method of the same name", text=True),
    "budget": Option(
        None, "share of the largest budget that this method has, with one finished point, its end", range=(1e-6, 1.0)
    ),
    "plan": Option(
        None, "a file with the plan, as printed by `growbench plan --json`; null lets the method make it", text=True
    ),
}


class Method:
    """One growth method.

    title: its name in tables.
    paper: where it was published, as tables print it.
    grows: the axes that it can grow, among layers, hidden, heads, ffn; or experts, which it makes of FFNs, and nothing else.
    ratios: the ratios of sizes that it accepts, in words.
    needs_source: whether it starts from the trained source.
    needs_data: whether it learns its maps on text: `learning` and `learned` say how.
    shrinks: whether the target is the smaller model.
    masked: whether masks hide what it adds while it trains (growth/masking.py).
    control: whether it grows nothing and answers a question about the methods that do.
    raised: whether its budget is raised by the source's cost, unless budget.total is true.
    horizon: its budget, as a multiple of scratch's.
    without_total: why a study with budget.total cannot have it, in words that follow "budget.total is true,".
    ends: the shape that its last stage trains.
    preserves: when the grown model computes the source's function, in words. `exact` is the same for programs.
    options: by name, besides COMMON.
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
    raised: bool = False
    horizon: float = 1.0
    without_total: str = ""
    ends: Literal["target", "source"] = "target"
    preserves: str = "no"
    options: Mapping[str, Option] = {}

    def check_options(self, options: Mapping[str, Any] | None, label: str | None = None) -> dict[str, Any]:
        """Return all options, with defaults filled in. Raises GrowBenchError for an unknown key or value.

        label: the name that the config gives to a variant of this method.
        """
        known, name = {**COMMON, **self.options}, label or self.name
        for key in options or {}:
            if key not in known:
                raise GrowBenchError(f"methods.{name}.{key}: unknown option; {nearest(key, known)}")
        given = {key: option.default for key, option in known.items()} | dict(options or {})
        return {key: known[key].check(f"methods.{name}.{key}", value) for key, value in given.items()}

    def later(self, options: Mapping[str, Any]) -> set[str]:
        """Return the options that this method gained later and that stand at what it did before."""
        return {key for key, option in self.options.items() if options.get(key) == option.older}

    @property
    def name(self) -> str:
        return type(self).__module__.rsplit(".", 1)[-1]

    def check(self, source: ModelSpec, target: ModelSpec, traits: Traits, options: Mapping[str, Any]) -> None:
        """Raise GrowBenchError if this method cannot make this target from this source."""
        if self.shrinks:
            self._check_shrinking(source, target)
        else:
            check_growth(source, target)
        uneven = target.hidden > source.hidden and not integer_ratio(source, target)
        if uneven and traits.embedding_norm and self.exact(source, target, traits, options):
            raise GrowBenchError(
                f"target.hidden: {target.hidden} is not a multiple of the source's {source.hidden}, and no exact map exists for "
                f"{source.family}, whose residual stream starts behind a norm; use {target.hidden // source.hidden * source.hidden}"
            )
        for key in (k for k in SHAPE_KEYS if k != "head_size"):
            axis, small, big = "heads" if key == "kv_heads" else key, getattr(source, key), getattr(target, key)
            if big > small and axis not in self.grows:
                raise GrowBenchError(
                    f"target.{key}: {self.name} grows {', '.join(self.grows) or 'nothing'}, not {axis}; keep {small}"
                )

    def _check_shrinking(self, source: ModelSpec, target: ModelSpec) -> None:
        for key in SHAPE_KEYS:
            large, wanted = getattr(source, key), getattr(target, key)
            if wanted > large:
                raise GrowBenchError(f"target.{key}: {wanted}, but {self.name} only shrinks; use at most {large}")

    def exact(self, source: ModelSpec, target: ModelSpec, traits: Traits, options: Mapping[str, Any]) -> bool:
        """Whether the target computes the source's function, for a growth that `check` accepts."""
        return False

    def widen(
        self, source: ModelSpec, target: ModelSpec, options: Mapping[str, Any], rng: np.random.Generator
    ) -> Widening:
        """Return the maps of every space. By default, copies in turn; a method that grows only depth keeps this."""
        return widen(source, target, "balanced", rng)

    def deepen(self, source_layers: int, target_layers: int, options: Mapping[str, Any]) -> Depth:
        """Return where each target layer comes from."""
        return stacked(source_layers, target_layers)

    def mixing(self, options: Mapping[str, Any]) -> Mixing | None:
        """Return how FFNs become mixtures of experts; None if they stay FFNs."""
        return None

    def learned(self, anatomy: Anatomy, options: Mapping[str, Any]) -> Learned:
        """Return the operator whose factors are learned, for a method that needs data.

        `widen` and `deepen` are still asked: factors may start from them, and settings with one entry per layer follow.
        """
        raise NotImplementedError

    def learning(self, options: Mapping[str, Any]) -> Learning:
        """Return how the factors are learned, for a method that needs data."""
        raise NotImplementedError

    def plan(self, source: ModelSpec, target: ModelSpec, options: Mapping[str, Any], prices: Prices) -> Plan:
        """Return the stages. By default, grow the source once, then train the target."""
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
            "options": ", ".join(f"{key}={_as_yaml(option.default)}" for key, option in self.options.items()) or "-",
        }


def _as_yaml(value: Any) -> str:
    """Return an option's default as a config spells it."""
    return json.dumps(value) if value is None or isinstance(value, bool) else str(value)


def integer_ratio(source: ModelSpec, target: ModelSpec) -> bool:
    """Whether the hidden size grows by an integer ratio, which exact copying needs under LayerNorm and RMSNorm."""
    return target.hidden % source.hidden == 0


def identity_depth(source: ModelSpec, target: ModelSpec, traits: Traits) -> bool:
    """Whether silent layers are exact identities. Under post-LN a norm is applied twice, and its epsilon adds up."""
    return (
        source.layers == target.layers or traits.pre_norm or (traits.eps is not None and traits.eps <= NEGLIGIBLE_EPS)
    )


def require_multiples(source: ModelSpec, target: ModelSpec, keys: tuple[str, ...], name: str) -> None:
    """Raise GrowBenchError unless each of these sizes grows by an integer ratio."""
    for key in keys:
        small, big = getattr(source, key), getattr(target, key)
        if big % small:
            near = max(2, round(big / small)) * small
            raise GrowBenchError(
                f"target.{key}: {big} is not a multiple of the source's {small}, as {name} needs; use {near}"
            )


def require_equal_groups(source: ModelSpec, target: ModelSpec, name: str) -> None:
    """Raise GrowBenchError unless the query heads per group grow by an integer ratio, so that every copy has a partner."""
    small, big = source.heads // source.kv_heads, target.heads // target.kv_heads
    if big % small:
        raise GrowBenchError(
            f"target.heads: {target.heads} over {target.kv_heads} key/value heads gives {big} per group, not a multiple of "
            f"the source's {small}, as {name} needs; use {max(1, round(big / small)) * small * target.kv_heads}"
        )

"""Relay's legs: small models first, each entered by direct copy, and one warm-up for all."""

import numpy as np
import pytest

from growbench import methods
from growbench.plan.plan import Prices, Stage
from growbench.spec import ModelSpec

RELAY = methods.load("relay")
SHAPE = {"family": "gpt2", "vocab": 50, "max_length": 16}
SOURCE = ModelSpec(**SHAPE, layers=4, hidden=32, heads=1, ffn=128)
TARGET = SOURCE.resized(hidden=64, heads=2, kv_heads=2, ffn=256)
PRICES = Prices(budget=1e12, step=lambda stage: 1e9, tokens=2048, parameters=1e6)


def legs(source: ModelSpec = SOURCE, **options: float) -> tuple[Stage, ...]:
    return RELAY.plan(source, TARGET, RELAY.check_options(options), PRICES).stages


def test_the_small_models_run_the_first_legs() -> None:
    found = [(leg.spec.layers, leg.spec.hidden, leg.enter) for leg in legs()]
    assert found == [(2, 32, "init"), (4, 32, "grow"), (4, 64, "grow")]
    assert [leg.until for leg in legs()] == pytest.approx([0.04, 0.12, 1.0])


@pytest.mark.parametrize(("source", "options"), [(SOURCE, {"first": 0.0}), (SOURCE.resized(layers=1), {})])
def test_without_a_shallow_leg_the_source_begins(source: ModelSpec, options: dict[str, float]) -> None:
    assert [(leg.spec, leg.until, leg.enter) for leg in legs(source, **options)] == [
        (source, 0.12, "init"),
        (TARGET, 1.0, "grow"),
    ]


def test_the_learning_rate_and_the_moments_go_on() -> None:
    assert {(leg.lr, leg.optimizer) for leg in legs()} == {("continue", "asymmetric")}


def test_new_entries_are_random() -> None:
    widening = RELAY.widen(SOURCE, TARGET, RELAY.check_options({}), np.random.default_rng(0))
    assert set(widening.residual.index[32:]) == {-1}

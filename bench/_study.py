"""The study that a benchmark works on: config/demo.yaml with what the benchmark changes."""

from collections.abc import Mapping
from typing import Any

from _table import ROOT

from growbench.study import config, files
from growbench.study.study import Study


def values(changes: Mapping[str, Any], methods: Mapping[str, Any]) -> dict[str, Any]:
    """Return the demo's config with nested `changes` merged in and these methods in place of its own."""
    return {**files.merged(files.read(ROOT / "config/demo.yaml"), changes), "methods": dict(methods)}


def load(changes: Mapping[str, Any], methods: Mapping[str, Any]) -> Study:
    """Return the Study of such a config. Raises GrowBenchError for a value that the config's schema refuses."""
    return config.load(values(changes, methods), name="config/demo.yaml")

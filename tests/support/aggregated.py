"""What the tests of the tables share: what each method costs, and rows of a table."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
from support import constructed

from growbench.study.study import Study

COSTS = {"scratch": 1.0, "stackbert": 0.8, "direct_copy": 1.3, "bert2bert_fpi": 0.5, "bert2bert_aki": 0.5}
"""FLOPs that a method needs for scratch's loss, as a share of scratch's."""
NATS = {"scratch": 4.0, "stackbert": 3.5, "direct_copy": 4.2, "bert2bert_fpi": 3.0, "bert2bert_aki": 3.0}
"""Zero-shot loss per word, in nats."""


def causal(test_sets: list[str]) -> Study:
    """Return a study of these methods for a family that can be evaluated without fine-tuning, on these test sets."""
    return constructed.study(
        dict.fromkeys(COSTS),
        **{"target.family": "gpt2", "zeroshot.names": test_sets, "zeroshot.points": [1.0], "zeroshot.stride": 32},
    )


def row(tables: Path, method: str) -> "pd.Series[Any]":
    """Return the row of a method in the table of savings."""
    return pd.read_csv(tables / "savings.csv").set_index("method").loc[method]


def edit(path: Path, **values: Any) -> None:
    """Change values of a record."""
    constructed.dump(path, json.loads(path.read_text()) | values)

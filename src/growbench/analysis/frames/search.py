"""The search frame: the learning rates that were tried."""

from collections.abc import Sequence

import pandas as pd

from growbench.analysis.frames import Record
from growbench.analysis.frames.provenance import commit


def build(records: Sequence[Record]) -> pd.DataFrame:
    """Return one row per trial of a search: its LR, its loss after the cool-down (nats), its FLOPs, and whether it was chosen."""
    rows = [
        {
            **{key: record[key] for key in ("study", "method", "seed", "share")},
            **trial,
            "failed": trial["loss"] is None,
            "chosen": trial["lr"] == record["lr"],
            "commit": commit(record),
        }
        for record in records
        for trial in record["trials"]
    ]
    return pd.DataFrame(rows)

"""The curves frame: the measured rows of every run's trunk."""

from collections.abc import Mapping

import pandas as pd

Curves = Mapping[tuple[str, int], pd.DataFrame]  # the curves of runs, by method and seed
Ends = Mapping[tuple[str, int, str], float]  # losses of finished points, by method, seed and point
ROWS = 500  # evenly spaced rows of a run


def build(runs: Curves) -> pd.DataFrame:
    """Return the trunk's measured rows of every run, by method and seed.

    A longer curve is thinned to ROWS evenly spaced rows and the rows on both sides of each change of stage.
    """
    tables = []
    for (method, seed), curve in runs.items():
        table = _thinned(trunk(curve))
        table.insert(0, "seed", seed)
        table.insert(0, "method", method)
        tables.append(table)
    return pd.concat(tables, ignore_index=True)


def _thinned(table: pd.DataFrame) -> pd.DataFrame:
    if len(table) <= ROWS:
        return table
    even = {round(i * (len(table) - 1) / (ROWS - 1)) for i in range(ROWS)}
    starts = [i for i in range(1, len(table)) if table["stage"].iloc[i] != table["stage"].iloc[i - 1]]
    return table.iloc[sorted(even.union(starts, (i - 1 for i in starts)))]


def ends(runs: Curves) -> Ends:
    """Return the loss of each run's finished points over all of the validation text, in nats.

    It compares with losses of the trunk; the loss of a record's point may be of other documents.
    """
    cooled = {run: curve[(curve["phase"] == "cooldown") & curve["valid_loss"].notna()] for run, curve in runs.items()}
    return {
        (*run, str(point)): float(loss)
        for run, rows in cooled.items()
        for point, loss in zip(rows["point"], rows["valid_loss"], strict=True)
    }


def trunk(curve: pd.DataFrame) -> pd.DataFrame:
    """Return the trunk's measured rows of one curve, in the order of training."""
    return curve[(curve["phase"] == "trunk") & curve["valid_loss"].notna()]

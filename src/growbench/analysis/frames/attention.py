"""The two attention frames: mean maps of a few models, and profiles over distance of all models."""

import pandas as pd

from growbench.analysis.frames import Record


def maps(record: Record) -> pd.DataFrame:
    """Return one row per method, layer, head and query; key0, key1, ... are the mean attention to each position."""
    rows = [
        {
            **_key(record, model),
            "layer": shown["layer"],
            "head": shown["head"],
            "query": query,
            **{f"key{k}": weight for k, weight in enumerate(weights)},
        }
        for model in record["models"]
        for shown in model["maps"]
        for query, weights in enumerate(shown["weights"])
    ]
    return pd.DataFrame(rows)


def distances(record: Record) -> pd.DataFrame:
    """Return one row per method, layer and relative distance (key minus query): mean attention at that distance.

    first: mean attention of the other tokens to the first token. likeness: mean correlation of the model's maps with
    those of the source.
    """
    rows = [
        {**_key(record, model), "layer": layer, "first": profile["first"], "distance": int(distance), "weight": weight}
        for model in record["models"]
        for layer, profile in enumerate(model["profiles"])
        for distance, weight in profile["weights"].items()
    ]
    return pd.DataFrame(rows)


def _key(record: Record, model: Record) -> Record:
    shared = {key: record[key] for key in ("study", "seed", "sequences", "length")}
    return {**shared, **{key: model[key] for key in ("method", "layers", "heads", "likeness")}}

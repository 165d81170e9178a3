"""Models that were trained again for a record that came without them, from a clone. The record stays as it is.

On other hardware, or with another version of PyTorch, they are not the record's models to the last bit. The file beside them
says which model stands for which, and how far their losses are apart.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from growbench.records import manifest
from growbench.records.layout import RunFolder

VERSION = 1
REMEDY = "delete the run's folder, and run the command again"


def write(
    folder: RunFolder, record: Mapping[str, Any], points: list[dict[str, Any]], provenance: dict[str, Any]
) -> Path:
    """Write which models stand for a record's, and return the path. points: finished points as in the record, of now."""
    was = {point["point"]: point for point in record["points"]}
    listed = [
        {
            "point": point["point"], "model": point["model"], "recorded_model": was[point["point"]]["model"],
            "loss": point["loss"], "recorded_loss": was[point["point"]]["loss"],
        }
        for point in points
    ]  # fmt: skip
    manifest.write(
        folder.restored, {"version": VERSION, "record": record["digest"], "points": listed, "provenance": provenance}
    )
    return folder.restored


def stands_for(folder: Path, model: str) -> tuple[str, float] | None:
    """Return the model of the record that a restored finished point stands for, and how much higher its loss is (nats).

    None if the point was not restored, or has the record's very weights. folder: of the point. model: digest of its weights.
    Raises GrowBenchError if what was restored is damaged.
    """
    path = RunFolder(folder.parents[1]).restored
    if not path.exists():
        return None
    for point in manifest.read(path, VERSION, REMEDY)["points"]:
        if (point["point"], point["model"]) == (folder.name, model) and point["recorded_model"] not in (None, model):
            return str(point["recorded_model"]), float(point["loss"] - point["recorded_loss"])
    return None

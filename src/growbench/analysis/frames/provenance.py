"""The provenance frame: what the records were made with."""

import pandas as pd

from growbench.analysis.frames import Record

UNKNOWN = "unknown"


def build(records: list[Record]) -> pd.DataFrame:
    """Return one row per kind of record, commit, hardware and set of package versions, with the number of records.

    not_recorded: what at least one of them does not say that it was made from. restored: the largest distance of the loss of
    a model that was trained again for a record from that of the record's (nats); there only if a record used such a model.
    """
    rows = [
        {
            "study": record["study"],
            "kind": record["kind"],
            "commit": commit(record),
            "hardware": hardware(record),
            "config_hash": record["config_hash"],
            **record["provenance"].get("versions", {}),
        }
        for record in records
    ]
    frame = pd.DataFrame(rows).fillna("")
    keys, unknown = list(frame), [not_recorded(record) for record in records]
    frame = frame.assign(not_recorded=unknown, records=1, restored=[restored(record) for record in records])
    groups = frame.groupby(keys, sort=False, as_index=False)
    made = groups.agg({"not_recorded": _union, "records": "sum", "restored": "max"})
    return made.drop(columns="restored") if made["restored"].isna().all() else made


def _union(names: "pd.Series[list[str]]") -> str:
    return " ".join(sorted(set().union(*names)))


def commit(record: Record) -> str:
    """Return the commit that made a record; a + marks uncommitted changes."""
    origin = record["provenance"]
    return f"{origin.get('commit', UNKNOWN)}{'+' if origin.get('dirty') else ''}"


def not_recorded(record: Record) -> list[str]:
    """Return the names of what a record was made from and does not know the digest or value of."""
    parts = record["identity"] if "identity" in record else record["made_from"]
    unknown = [name for name, value in parts.items() if value is None]
    models = ["model"] if any(point["model"] is None for point in record.get("points", [])) else []
    return sorted([*unknown, *models])


def restored(record: Record) -> float | None:
    """Return how far the loss of a model that was trained again for this record is from the record's model (nats).

    None if the record's own was used.
    """
    off = record.get("source_restored", record.get("made_from", {}).get("restored"))
    return None if off is None else abs(float(off))


def hardware(record: Record) -> str:
    """Return the device class that made a record."""
    return str(record["provenance"].get("hardware", UNKNOWN))

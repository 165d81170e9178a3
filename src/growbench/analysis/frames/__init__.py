"""Records to data frames: one module per table, which owns the names of the table's columns."""

from typing import Any

Record = dict[str, Any]  # one record as JSON holds it

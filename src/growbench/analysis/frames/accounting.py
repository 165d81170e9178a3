"""The accountings: what counts as the cost of a run, where the cost is found, and what tables call it."""

ACCOUNTINGS = {  # suffix of the columns of a savings table: column of the points frame that holds the cost
    "target_only": "flops",
    "total": "flops_total",
    "amortised": "flops_amortised",
    "electra_target_only": "flops_electra",
    "electra_total": "flops_total_electra",
    "wall_target_only": "wall_seconds",
}
FRONTIER = "frontier"  # everything counted, against the best model from scratch of any size
ISO = "iso"  # everything counted, against scratch_iso
AT_ISO = "saving, everything counted, at scratch_iso's loss"
AT_FRONTIER = "saving, everything counted, against the from-scratch frontier"


def titles(reuses: int) -> dict[str, str]:
    """Return the headings of the three main accountings. reuses: number of methods that start from the source."""
    return {"target_only": "target only", "total": "everything counted", "amortised": f"source / {max(reuses, 1)}"}


def against_iso(row: dict[str, object]) -> bool:
    """Whether the study of this row of a savings table has scratch_iso, and with it the saving against it."""
    return f"status_{ISO}" in row

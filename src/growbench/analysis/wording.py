"""Numbers and facts as tables, pages and figures print them."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from growbench import families
from growbench.analysis.statistics.savings import AT_FIRST, BASELINE
from growbench.spec import SOURCE

Row = Mapping[str, Any]
MISSING = "–"
STRATIFIED = (
    "95 % stratified bootstrap, seeds resampled within each task; in a simulation with three seeds and four tasks they cover "
    "85 % (IQM) and 93 % (P)"
)
PUBLISHED_NOTE = (
    "Published values come from other models, data and budgets. They are at another scale: read them beside ours, not "
    "against ours. [S] read in the paper or its code, [S2] second hand"
)


def number(value: Any, digits: int = 1, sign: bool = False) -> str:
    """Return a number with this many decimals, a dash if it is missing; what rounds to zero has no sign."""
    if value is None or pd.isna(value):
        return MISSING
    text = f"{float(value):{'+' if sign else ''}.{digits}f}"
    return text if float(text) else text.lstrip("+-")


def ends(row: Row, name: str, digits: int, sign: bool = False, scale: float = 1.0) -> str:
    """Return the interval of a column times `scale`, e.g. ` [38.0, 44.1]`, or nothing without one."""
    lo, hi = row.get(f"{name}_lo"), row.get(f"{name}_hi")
    if lo is None or pd.isna(lo):
        return ""
    high = "open" if hi is None or pd.isna(hi) else number(scale * float(hi), digits, sign)
    return f" [{number(scale * float(lo), digits, sign)}, {high}]"


def percent(value: Any, digits: int = 1) -> str:
    """Return a share as percent, or a dash."""
    return MISSING if value is None or pd.isna(value) else f"{number(100 * float(value), digits)} %"


def p_value(value: Any) -> str:
    """Return a p value with three decimals, or a dash."""
    if value is None or pd.isna(value):
        return MISSING
    return f"{float(value):.3f}" if value >= 0.001 else "< 0.001"


def yes_no(value: Any) -> str:
    """Return whether something holds, or a dash if it is not known."""
    return MISSING if value is None or pd.isna(value) else "yes" if value in (True, "True") else "no"


def tpp(value: Any) -> str:
    """Return tokens per parameter with two digits, or a dash."""
    if value is None or pd.isna(value):
        return MISSING
    return f"{float(value):.2g}" if abs(value) < 99.5 else f"{float(value):.0f}"


def saving(row: Row, name: str, kind: str = "saving", note: bool = False, digits: int = 1) -> str:
    """Return e.g. `41.2 % [38.0, 44.1]`, `≥ 60.0 %`, `not reached`, or a dash if it is not measured; open ends are named.

    name: the accounting. kind: saving or speedup. note: add the share of seeds that are read at a bound, if not all are.
    digits: decimals of a percentage.
    """
    status = row[f"status_{name}"]
    if pd.isna(status):
        return MISSING
    if status == BASELINE:
        return "0 (baseline)"
    n = int(row["n"])
    if pd.isna(row[f"{kind}_{name}"]):
        missed = round(n * float(row[f"share_not_reached_{name}"]))
        return str(status) + (f" (in {missed} of {n} seeds)" if note and 0 < missed < n else "")
    return saved(*(row[f"{kind}_{name}{end}"] for end in ("", "_lo", "_hi")), bound=status == AT_FIRST, digits=digits)


def saved(value: Any, lo: Any, hi: Any, *, bound: bool, digits: int = 1) -> str:
    """Return a share that is known, and its interval, in percent: `41.2 % [38.0, 44.1]`, or `≥ 60.0 %` for a bound."""
    text = ("≥ " if bound else "") + f"{number(100 * float(value), digits)} %"
    return text + ends({"v_lo": lo, "v_hi": hi}, "v", digits, scale=100)


def scale(points: pd.DataFrame) -> str:
    """Return the scale, e.g. `bert (2, 64) → (4, 128)`: layers and hidden size of source and target."""
    first = points[points["method"] != SOURCE].iloc[0]
    source = f"{first['source']} → " if isinstance(first["source"], str) and first["source"] else ""
    return f"{first['family']} {source}{first['target']}"


def of_images(points: pd.DataFrame) -> bool:
    """Whether these are points of models of images: then every image is a document, and its class is all that is predicted."""
    return families.load(str(points["family"].iloc[0])).objective == "classification"


def nats(points: pd.DataFrame) -> str:
    """Return the unit of the losses."""
    return "nats/image" if of_images(points) else "nats/token"


def provenance(points: pd.DataFrame, most: int | None = None) -> str:
    """Return commits, hardware classes and precisions of the pre-training records; + marks uncommitted changes.

    most: how many commits are named; None names all.
    """
    columns = ("commit", "hardware", "precision")
    commits, hardware, precisions = (sorted({str(value) for value in points[name]}) for name in columns)
    if most is not None and len(commits) > most:
        commits = [f"{', '.join(commits[:most])} and {len(commits) - most} more"]
    return f"commit {', '.join(commits)}; {', '.join(hardware)}; {', '.join(precisions)}"


def protocol(name: str) -> str:
    """Return the protocol in words."""
    if name == "paper":
        return "protocol paper (one linear decay; intermediate points, running median of three)"
    return "protocol trunk (every point is a finished model, its cool-down counted)"


def finetuning(counted: bool) -> str:
    """Return whether the cost of a score includes that of its fine-tuning."""
    whole = "FLOPs include those of fine-tuning, of every run that was tried"
    return f"{whole}." if counted else "FLOPs do not include those of fine-tuning (finetune.counted: false)."


def intervals(n: int) -> str:
    """Return how the intervals were made, or why there are none. n: number of seeds."""
    if n < 2:
        return "One seed: no intervals, no claim about the order of the methods."
    return f"Brackets: 95 % t interval over the {n} seeds, paired, {n - 1} degrees of freedom."

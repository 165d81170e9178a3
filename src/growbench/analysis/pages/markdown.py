"""savings.md and scores.md: the tables a person reads, each with a caption that says what the numbers are."""

from collections.abc import Callable, Collection, Iterable
from functools import partial
from typing import Any

import pandas as pd

from growbench.analysis.frames.scores import AVERAGE, GRID
from growbench.analysis.statistics.savings import AT_FIRST, BASELINE, NOT_REACHED

Row = dict[str, Any]
IQM_ENDS = ("iqm_lo", "iqm_hi")
AT_ISO = "saving, everything counted, at scratch_iso's loss"
ISO_NOTE = """\
- At scratch_iso's loss: the same with scratch_iso in scratch's place, for methods with a source and source_longer. Scratch has then spent the \
source's FLOPs as well, and the threshold is as low as all those FLOPs bring it.
"""


def grid(head: list[str], rows: Iterable[list[str]], left: Collection[int] = (0,)) -> str:
    """Return a Markdown table; the columns with these numbers are left-aligned, the others right-aligned."""
    lines = [head, [":---" if i in left else "---:" for i in range(len(head))], *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines) + "\n"


def number(value: Any, digits: int = 1, sign: bool = False) -> str:
    """Return a number with so many decimals, a dash where there is none; what rounds to zero has no sign."""
    if value is None or pd.isna(value):
        return "–"
    text = f"{float(value):{'+' if sign else ''}.{digits}f}"
    return text if float(text) else text.lstrip("+-")


def saving_text(row: Row, name: str, kind: str = "saving", note: bool = False, digits: int = 1) -> str:
    """Return e.g. `41.2 % [38.0, 44.1]`, `≥ 60.0 %`, `not reached`, a dash where it is not measured; open ends are named.

    note: add the share of resamples that do not reach the threshold, where there are such. digits: decimals of a percentage.
    """
    status = row[f"status_{name}"]
    if pd.isna(status):
        return "–"
    if status == BASELINE:
        return "0 (baseline)"
    value, lo, hi = (row[f"{kind}_{name}{end}"] for end in ("", "_lo", "_hi"))
    missed = float(row[f"share_not_reached_{name}"])
    several = int(row["n"]) > 1
    share = f" (not in {100 * missed:.0f} % of resamples)" if note and several and 0 < missed < 1 else ""
    if status == NOT_REACHED:
        return NOT_REACHED + share
    text = ("≥ " if status == AT_FIRST else "") + f"{number(100 * float(value), digits)} %"
    if not several:
        return text
    low = NOT_REACHED if pd.isna(lo) else number(100 * float(lo), digits)
    high = (NOT_REACHED if missed > 0.5 else "open") if pd.isna(hi) else number(100 * float(hi), digits)
    return f"{text} [{low}, {high}]{share}"


def savings(table: pd.DataFrame, at_score: pd.DataFrame, points: pd.DataFrame) -> str:
    """Return savings.md for the frames of savings_table.py, score_savings.py and frames.py."""
    rows = table.to_dict("records")
    reuses = max(int(row["source_reuses"]) for row in rows)
    columns: dict[str, Callable[[Row], str]] = {
        "method": lambda r: str(r["method"]),
        **_accountings(reuses),
        **({AT_ISO: partial(saving_text, name="iso", note=True)} if against_iso(rows[0]) else {}),
        "loss after growth": lambda r: number(r["initial_loss"], 3),
        "final loss": lambda r: number(r["final_loss"], 4) + _ends(r, "final_loss", 4),
        "final loss − scratch's": lambda r: _gap(r),
        "n": lambda r: str(r["n"]),
        "published saving (paper, setting, grade)": lambda r: str(r["published"] or "–"),
    }
    body = grid(list(columns), [[cell(row) for cell in columns.values()] for row in rows])
    parts = [f"# Savings: {rows[0]['study']}\n", body, _savings_caption(rows, points, reuses)]
    return "\n".join(parts if at_score.empty else [*parts, _at_score(at_score, reuses)])


def _accountings(reuses: int) -> dict[str, Callable[[Row], str]]:
    """Return the columns of a saving and its speed-up in every accounting."""
    names = {"target_only": "target only", "total": "everything counted", "amortised": f"source / {max(reuses, 1)}"}
    columns: dict[str, Callable[[Row], str]] = {}
    for name, words in names.items():
        columns[f"saving, {words}"] = partial(saving_text, name=name, kind="saving", note=name != "amortised")
        columns[f"speed-up, {words}"] = partial(saving_text, name=name, kind="speedup")
    for name, words in list(names.items())[:2]:
        columns[f"saving, {words}, ELECTRA FLOPs"] = partial(saving_text, name=f"electra_{name}", kind="saving")
    return columns


def against_iso(row: Row) -> bool:
    """Whether the study of this row of savings has scratch_iso, and with it the saving against it."""
    return "status_iso" in row


def _at_score(table: pd.DataFrame, reuses: int) -> str:
    rows = table.to_dict("records")
    columns: dict[str, Callable[[Row], str]] = {
        "method": lambda r: str(r["method"]),
        **_accountings(reuses),
        "final average score": lambda r: number(100 * r["score"], 1),
        "n": lambda r: str(r["n"]),
    }
    body = grid(list(columns), [[cell(row) for cell in columns.values()] for row in rows])
    counts = sorted({int(row["points"]) for row in rows})
    one = " With one fine-tuned point a saving is not reached or a lower bound." if counts[0] == 1 else ""
    return f"""\
## At equal score

{body}
- The same, where the method first reaches the average score over tasks that scratch finishes with \
({number(100 * rows[0]["threshold_score"], 1)}), at the fine-tuned finished points \
({" to ".join(str(c) for c in dict.fromkeys([counts[0], counts[-1]]))} a method); interpolated in (log FLOPs, score).{one}
"""


def _ends(row: Row, name: str, digits: int, sign: bool = False) -> str:
    if row.get(f"{name}_lo") is None or pd.isna(row[f"{name}_lo"]):
        return ""
    return f" [{number(row[f'{name}_lo'], digits, sign)}, {number(row[f'{name}_hi'], digits, sign)}]"


def _gap(row: Row) -> str:
    if row["method"] == "scratch":
        return "0 (baseline)"
    return number(row["loss_gap"], 4, sign=True) + _ends(row, "loss_gap", 4, sign=True)


def scale(points: pd.DataFrame) -> str:
    """Return the scale in words, e.g. `bert (2, 64) → (4, 128)`: layers and hidden size of source and target."""
    first = points[points["method"] != "source"].iloc[0]
    source = f"{first['source']} → " if isinstance(first["source"], str) and first["source"] else ""
    return f"{first['family']} {source}{first['target']}"


def provenance(points: pd.DataFrame) -> str:
    """Return commit(s) and hardware class(es) of the pre-training records; + marks uncommitted changes."""
    commits, hardware = (", ".join(sorted({str(v) for v in points[name]})) for name in ("commit", "hardware"))
    return f"commit {commits}; {hardware}"


def protocol_text(protocol: str) -> str:
    """Return the protocol in words."""
    if protocol == "paper":
        return "protocol paper (one linear decay; intermediate points, running median of three)"
    return "protocol trunk (every point is a finished model, its cool-down counted)"


def interval_text(n: int) -> str:
    """Return how the intervals were made, or why there are none."""
    if n < 2:
        return "One seed: no intervals, no claim about the order of the methods."
    few = " With so few seeds an interval is about the range of the runs." if n <= 5 else ""
    return f"Brackets: 95 % bootstrap, the {n} seeds resampled, paired, the crossing recomputed.{few}"


def _savings_caption(rows: list[Row], points: pd.DataFrame, reuses: int) -> str:
    protocol, n = str(rows[0]["protocol"]), int(rows[0]["n"])
    share = max(reuses, 1)
    return f"""\
- Scale: {scale(points)} (layers, hidden). n = {n} pre-training seed(s). {protocol_text(protocol)}.
- Saving = 1 − F / F_scratch where the method first reaches scratch's final validation loss \
({number(rows[0]["threshold_loss"], 4)} nats); speed-up = F_scratch / F − 1. Interpolated in (log FLOPs, loss), never \
extrapolated: `not reached`, or `≥` where the first point is already below.
- FLOPs: matmul, multiply + add = 2, backward = 2 × forward (ELECTRA's convention: backward = forward). Target only: the \
source is free. Everything counted: source, operator learning and all stages. Source / {share}: the source's cost \
shared by the {reuses} method(s) of this study that start from it.
{ISO_NOTE if against_iso(rows[0]) else ""}- Final loss − scratch's: at the largest target budget, negative is better; the source's cost is not counted.
- {interval_text(n)}
- Published values come from other models, data and budgets: another scale, to be read beside ours, not against it. \
[S] read in the paper or its code, [S2] second hand.
- Records: {provenance(points)}.
"""


def scores(table: pd.DataFrame, averages: pd.DataFrame, points: pd.DataFrame) -> str:
    """Return scores.md: means over runs x 100 and all tasks together, for each finished point."""
    if table.empty:
        return "# Scores\n\nNothing was fine-tuned in this study.\n"
    suite, study = str(table["suite"].iloc[0]), str(table["study"].iloc[0])
    parts = [f"# Scores: {study} ({suite})\n"]
    for point in sorted(set(table["point"]), key=lambda name: table.loc[table["point"] == name, "fraction"].iloc[0]):
        parts.append(f"## Finished point {point}\n\n{_score_grid(table[table['point'] == point])}")
        parts.append(_all_tasks(averages[averages["point"] == point]))
    return "\n".join([*parts, _scores_caption(table, points, suite)])


def _score_grid(table: pd.DataFrame) -> str:
    tasks = sorted(dict.fromkeys(table["task"]), key=lambda name: name != AVERAGE)
    first = table.drop_duplicates("task").set_index("task")
    marks = {task: "*" if table.loc[table["task"] == task, "subset"].any() else "" for task in tasks}
    head = [f"{t}{marks[t]} ({first.loc[t, 'metric']})" if t != AVERAGE else f"average{marks[t]}" for t in tasks]
    rows = []
    for method in dict.fromkeys(table["method"]):
        own = table[table["method"] == method].set_index("task")
        extra = own.loc[AVERAGE]
        gap = "0 (baseline)" if method == "scratch" else _times100(extra, "gap", sign=True)
        cells = [_times100(own.loc[task], "mean") for task in tasks]
        runs = [f"{100 * extra['median']:.1f}", f"{100 * extra['best']:.1f}", str(extra["failed"]), str(extra["n"])]
        rows.append([str(method), *cells, gap, *runs])
    rows.append(["majority or mean", *[f"{100 * first.loc[task, 'majority']:.1f}" for task in tasks], *["–"] * 5])
    extra_head = ["average − scratch's", "median average", "best average", "failed", "n"]
    return grid(["method", *head, *extra_head], rows)


def _all_tasks(table: pd.DataFrame) -> str:
    head = ["method", "normalised mean", "normalised IQM", "P(better than scratch)"]
    rows = []
    for row in table.to_dict("records"):
        scaled = {key: 100 * row[key] if row.get(key) is not None else None for key in ("mean", "iqm", *IQM_ENDS)}
        chance = "0.50 (baseline)" if row["method"] == "scratch" else number(row.get("improvement"), 2)
        ends = "" if row["method"] == "scratch" else _ends(row, "improvement", 2)
        rows.append(
            [str(row["method"]), number(scaled["mean"]), number(scaled["iqm"]) + _ends(scaled, "iqm", 1), chance + ends]
        )
    return grid(head, rows)


def _times100(row: "pd.Series[float]", name: str, sign: bool = False) -> str:
    if pd.isna(row[name]):
        return "–"
    text = number(100 * row[name], 1, sign)
    if name == "mean":
        return text if pd.isna(row["std"]) else f"{text} ± {100 * row['std']:.1f}"
    lo, hi = row[f"{name}_lo"], row[f"{name}_hi"]
    return text if pd.isna(lo) else f"{text} [{number(100 * lo, 1, sign)}, {number(100 * hi, 1, sign)}]"


def _scores_caption(table: pd.DataFrame, points: pd.DataFrame, suite: str) -> str:
    seeds, squad = int(table["n_seeds"].max()), table["task"].str.startswith("SQuAD").any()
    toy = (
        "- toyglue is generated by this project from its synthetic language; it is not GLUE and not comparable to it.\n"
    )
    subset = "- \\* fewer training or development rows than the official ones (finetune.max_train, or the files).\n"
    spans = "- SQuAD: F1, the largest over the gold answers; the average over tasks counts it as one of them.\n"
    empty = (
        "- SQuAD2.0: no answer is given where its score is above the best span's (threshold 0). The threshold that is best "
        "on these very questions stands in runs.csv as best_f1 and best_exact_match, an upper bound.\n"
    )
    return f"""\
- Scale: {scale(points)} (layers, hidden). {protocol_text(str(points["protocol"].iloc[0]))}.
- Scores × 100 on the development sets: {_protocol_of_scores(table)} Failed runs (constant prediction or loss not finite) \
are counted and stay in.
- average − scratch's: paired by pre-training seed. {interval_text(seeds)}
- All tasks together: scores normalised as (score − majority) / (1 − majority), × 100; IQM: mean of the middle half of all \
tasks x runs; P: chance that a run beats one of scratch on a random task, ties half (Agarwal et al., NeurIPS 2021). \
{"Brackets: 95 % stratified bootstrap, pre-training seeds resampled within each task." if seeds > 1 else "One seed: no intervals."}
{toy if suite == "toyglue" else ""}{spans if squad else ""}{empty if "SQuAD2.0" in set(table["task"]) else ""}\
{subset if table["subset"].any() else ""}\
- Pre-training records: {provenance(points)}.
"""


def _protocol_of_scores(table: pd.DataFrame) -> str:
    """Return which number is printed, and over what."""
    n, seeds = int(table["n"].max()), int(table["n_seeds"].max())
    if table["protocol"].iloc[0] == GRID:
        tried = table.loc[table["task"] != AVERAGE].groupby("task", sort=False)["tried"].max()
        counts = ", ".join(f"{task} {count}" for task, count in tried.items())
        return (
            f"protocol grid: best on dev over the grid of LRs × fine-tuning seeds, chosen for each pre-training run and task "
            f"by the same score that is printed, so an upper bound (runs tried: {counts}); then mean ± standard deviation "
            f"over n = {n} pre-training seed(s). The average over tasks is of these best scores; median and best are over "
            f"pre-training seeds."
        )
    return (
        f"protocol single: one setting a task, mean ± standard deviation over n = {n} runs ({seeds} pre-training × "
        f"{n // seeds} fine-tuning seeds). The average over tasks is taken within a run; median and best are over runs."
    )

"""zeroshot.md: the zero-shot table, for people, with a caption that says what the numbers are."""

from typing import Any

import pandas as pd

from growbench.analysis import wording
from growbench.analysis.frames import Record
from growbench.analysis.pages.markdown import grid

NAMES = {"word_perplexity": "word perplexity", "perplexity": "token perplexity", "accuracy": "accuracy"}
MISSING = "not finite"
LAST_WORDS = (
    "- LAMBADA: the last word of a passage, decoded greedily. It is right if all its tokens are right; a word with an "
    "unknown token is wrong. The perplexities are of last words. Passages longer than a window lose their beginning.\n"
)


def page(table: pd.DataFrame, points: pd.DataFrame, records: list[Record]) -> str:
    """Return zeroshot.md for the frames zeroshot and points. records: they say how text became tokens."""
    parts = [f"# Zero-shot: {table['study'].iloc[0]}\n"]
    for point in table.sort_values("fraction", kind="stable")["point"].unique():
        parts.append(f"## Finished point {point}\n\n{_grid(table[table['point'] == point])}")
    return "\n".join([*parts, _caption(table, points, records)])


def _grid(table: pd.DataFrame) -> str:
    tasks = list(dict.fromkeys(table["task"]))
    shown = [(t, m) for t in tasks for m in NAMES if ((table["task"] == t) & (table["metric"] == m)).any()]
    main = {t: table[(table["task"] == t) & table["main"]]["metric"].iloc[0] for t in tasks}
    marks = {t: "*" if table.loc[table["task"] == t, "subset"].any() else "" for t in tasks}
    head = ["method", *(f"{t}{marks[t]} {NAMES[m]}" for t, m in shown)]
    head += [f"{t}{marks[t]} {NAMES[m]} − scratch's" for t, m in main.items()]
    rows = []
    for method in dict.fromkeys(table["method"]):
        own = table[table["method"] == method].set_index(["task", "metric"])
        cells = [_cell(own.loc[key], "mean", key[1]) for key in shown]
        base = method == "scratch"
        gaps = ["0 (baseline)" if base else _cell(own.loc[key], "gap", key[1], sign=True) for key in main.items()]
        lead = [own.loc[key] for key in main.items()]
        failed, n = max(int(row["failed"]) for row in lead), min(int(row["n"]) for row in lead)
        rows.append([str(method), *cells, *gaps, str(failed), str(n)])
    return grid([*head, "failed", "n"], rows)


def _cell(row: "pd.Series[Any]", name: str, metric: str, sign: bool = False) -> str:
    """Return e.g. `31.2 [30.8, 31.6]`: perplexity, or accuracy in percent."""
    if pd.isna(row[name]):
        return MISSING
    times, unit = (100, " %") if metric == "accuracy" else (1, "")
    lo, hi = ("lo", "hi") if name == "mean" else (f"{name}_lo", f"{name}_hi")
    value, *ends = (_number(times * row[key], sign) for key in (name, lo, hi))
    return f"{value}{unit}" + ("" if pd.isna(row[lo]) else f" [{', '.join(ends)}]")


def _number(value: float, sign: bool) -> str:
    """Return a number with one decimal, or none from 1,000 on, where perplexities of poor models lie."""
    return f"{value:{'+' if sign else ''},.{0 if abs(value) >= 1000 else 1}f}"


def _caption(table: pd.DataFrame, points: pd.DataFrame, records: list[Record]) -> str:
    first, how = table.iloc[0], records[0]["tokenisation"]
    dropped = [what for key, what in (("letter_case", "case"), ("line_ends", "line ends")) if not how[key]]
    lost = f" The tokenizer ignores {' and '.join(dropped)}, which makes text easier." if dropped else ""
    subset = "- \\* not the official file: its counts differ, and nothing here is comparable to published numbers.\n"
    return f"""\
- Scale: {wording.scale(points)} (layers, hidden). {wording.protocol(str(points["protocol"].iloc[0]))}.
- Word perplexity = exp(nats of all tokens / words between spaces) is comparable across tokenizers; token perplexity = \
exp(nats / tokens) is not. zeroshot.csv also has word_perplexity_eos, over words and line ends, as word-level models count.
- Each token is scored once, in windows of {first["length"]} tokens. All windows but the first score their last \
{first["stride"]} tokens, so that at least {first["context"]} tokens are seen (fewer only at the beginning of the text).
- Tokens: {how["kind"]}, vocabulary {how["vocab"]}.{lost} `<unk>` is text like any other ({" ".join(how["unknown_word"])}). \
Text is used as in the file, without detokenization.
{LAST_WORDS if "accuracy" in set(table["metric"]) else ""}{_counts(table)}{subset if table["subset"].any() else ""}\
- − scratch's: paired by pre-training seed. {wording.intervals(int(table["n"].max()))} A failed run (nats not finite) is counted \
and left out of the means.
- Pre-training records: {wording.provenance(points)}.
"""


def _counts(table: pd.DataFrame) -> str:
    lines = []
    for _, row in table.drop_duplicates("task").iterrows():
        mark = "\\*" if row["subset"] else ""
        cut = f", {row['n_cut']} passages cut" if row["n_cut"] else ""
        lines.append(
            f"- {row['task']}{mark}: n = {row['n_words']} words in {row['n_lines']} lines, {row['n_tokens']} tokens "
            f"({row['n_unknown']} of them unknown, counted as they are{cut}).\n"
        )
    return "".join(lines)

"""zeroshot.md: the zero-shot table, for people, with a caption that says what the numbers are."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from growbench.analysis.frames import Record
from growbench.analysis.frames.zeroshot import misread
from growbench.analysis.pages.markdown import grid

NAMES = {
    "word_perplexity": "word perplexity", "perplexity": "token perplexity", "accuracy": "accuracy",
    "bits_per_byte": "bits per byte",
}  # fmt: skip
MISSING = "not finite"
LAST_WORDS = (
    "- LAMBADA: the last word of a passage, decoded greedily. It is right if all its tokens are right; a word with an "
    "unknown token is wrong. The perplexities are of last words. Passages longer than a window lose their beginning.\n"
)


MISREAD = """\
**Withdrawn.** These texts were read without the token that begins every training sequence, and in windows one token too long. \
Some models lose 0.1 to 0.2 nats per token by that, others nothing, so the scores do not compare models.
"""
OF_TEXT = """\
- Word perplexity = exp(nats of all tokens / words between spaces) is comparable across tokenizers; token perplexity = \
exp(nats / tokens) is not. zeroshot.csv also has word_perplexity_eos, over words and line ends, as word-level models count. \
Text is used as in the file, without detokenization.
"""
OF_PAIRS = """\
- Minimal pairs: a model is right about a pair if the right sentence is more likely than the wrong one; a tie is not right. \
A masked model's likelihood is its pseudo-likelihood (PLL-word-l2r). {sets}. The standard error is over pairs, for one \
model; all models have the same pairs.
"""
SETS = {
    "pairs": "pairs: made from held-out sentences; accuracy is the mean over kinds",
    "BLiMP": "BLiMP: the mean over its paradigms of 1,000 pairs",
}
OVER_PAIRS = """\
- zeroshot.csv has the interval of each difference from scratch in accuracy over seeds × pairs (gap_multi_lo, gap_multi_hi): \
the pairs of each kind are resampled, the same ones in all models.
"""
OF_BYTES = """\
- Bits per byte = nats / ln 2 / bytes in UTF-8, each text from its beginning. WikiText-2 is detokenized for it; `<unk>` stays.
"""


def page(table: pd.DataFrame, records: list[Record], caption: Sequence[str]) -> str:
    """Return zeroshot.md for the frame zeroshot. records: they say how text became tokens. caption: as captions.lines says."""
    parts = [f"# Zero-shot: {table['study'].iloc[0]}\n"]
    for point in table.sort_values("fraction", kind="stable")["point"].unique():
        parts.append(f"## Finished point {point}\n\n{_grid(table[table['point'] == point])}")
        if kinds := _kinds(table[table["point"] == point]):
            parts.append(f"### Accuracy by kind, {point}\n\n{kinds}")
    return "\n".join([parts[0], *([MISREAD] if misread(table) else []), *parts[1:], _caption(table, records, caption)])


def _kinds(table: pd.DataFrame) -> str:
    """Return the accuracies of the kinds of pairs, in percent, one row a method; empty if there are none."""
    kinds = table[~table["metric"].isin({*NAMES, "word_perplexity_eos"})]
    if kinds.empty:
        return ""
    keys = list(dict.fromkeys(zip(kinds["task"], kinds["metric"], strict=True)))
    values = kinds.set_index(["method", "task", "metric"])["mean"]
    rows = [
        [str(method), *(_percent(values.get((method, *key))) for key in keys)]
        for method in dict.fromkeys(kinds["method"])
    ]
    return grid(["method", *(f"{task}: {metric}" for task, metric in keys)], rows)


def _percent(value: float | None) -> str:
    return MISSING if value is None or pd.isna(value) else f"{100 * value:.1f}"


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
    """Return e.g. `31.2 [30.8, 31.6]`: perplexity, bits per byte, or accuracy in percent."""
    if pd.isna(row[name]):
        return MISSING
    times, unit = (100, " %") if metric == "accuracy" else (1, "")
    lo, hi = ("lo", "hi") if name == "mean" else (f"{name}_lo", f"{name}_hi")
    digits = 3 if metric == "bits_per_byte" else 1
    value, *ends = (_number(times * row[key], sign, digits) for key in (name, lo, hi))
    return f"{value}{unit}" + ("" if pd.isna(row[lo]) else f" [{', '.join(ends)}]")


def _number(value: float, sign: bool, digits: int) -> str:
    """Return a number with so many decimals, or none from 1,000 on, where perplexities of poor models lie."""
    return f"{value:{'+' if sign else ''},.{0 if abs(value) >= 1000 else digits}f}"


def _caption(table: pd.DataFrame, records: list[Record], caption: Sequence[str]) -> str:
    scale, intervals, savings, origin = caption
    how = records[0]["tokenisation"]
    dropped = [what for key, what in (("letter_case", "case"), ("line_ends", "line ends")) if not how[key]]
    lost = f" The tokenizer ignores {' and '.join(dropped)}, which makes text easier." if dropped else ""
    subset = "- \\* not the official file: its counts differ, and nothing here is comparable to published numbers.\n"
    return f"""\
- {scale}
{_rules(table)}\
- Tokens: {how["kind"]}, vocabulary {how["vocab"]}.{lost} `<unk>` is text like any other ({" ".join(how["unknown_word"])}).
{_counts(table)}{subset if table["subset"].any() else ""}\
- − scratch's: paired by pre-training seed. {intervals} A failed run (nats not finite) is counted \
and left out of the means.
- Of the savings in this study: {savings}
- Pre-training records. {origin}
"""


def _rules(table: pd.DataFrame) -> str:
    """Return what the scores of the test sets of this table mean."""
    first, metrics = table.iloc[0], set(table["metric"])
    sets = [words for name, words in SETS.items() if name in set(table["task"])]
    last = "accuracy" in set(table.loc[table["n_pairs"] == 0, "metric"])
    windows = (
        f"- Each token is scored once, in windows of {first['length']} tokens. All windows but the first score their last "
        f"{first['stride']} tokens, so that at least {first['context']} tokens are seen (fewer only at the beginning of the "
        "text).\n"
    )
    return "".join(
        [
            OF_TEXT if "word_perplexity" in metrics else "",
            OF_BYTES if "bits_per_byte" in metrics else "",
            windows if metrics & {"word_perplexity", "bits_per_byte"} else "",
            LAST_WORDS if last else "",
            OF_PAIRS.format(sets="; ".join(sets)) if sets else "",
            OVER_PAIRS if "gap_multi_lo" in table else "",
        ]
    )


def _counts(table: pd.DataFrame) -> str:
    """Return a line for each test set that says how much is in it."""
    return "".join(_count(row) for _, row in table[table["main"]].drop_duplicates("task").iterrows())


def _count(row: "pd.Series[Any]") -> str:
    mark = "\\*" if row["subset"] else ""
    tokens = f"{row['n_tokens']} tokens ({row['n_unknown']} of them unknown, counted as they are"
    if row["n_pairs"]:
        out = f"; {row['n_cut']} more are too long or the same tokens" if row["n_cut"] else ""
        error = "" if pd.isna(row["error"]) else f", standard error {100 * row['error']:.2f} %"
        return f"- {row['task']}{mark}: n = {row['n_pairs']} pairs{out}{error}, {tokens}).\n"
    if row["n_bytes"]:
        return f"- {row['task']}{mark}: n = {row['n_bytes']} bytes in {row['n_lines']} texts, {tokens}).\n"
    cut = f", {row['n_cut']} passages cut" if row["n_cut"] else ""
    return f"- {row['task']}{mark}: n = {row['n_words']} words in {row['n_lines']} lines, {tokens}{cut}).\n"

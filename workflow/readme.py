"""Write the generated blocks of README.md, CONTRIBUTING.md and docs/. `make readme` calls it.

    python workflow/readme.py            write them
    python workflow/readme.py --check    only say whether they are up to date (exit status 1 if not)

A block lies between `<!-- generated: <name> -->` and `<!-- end: <name> -->`.
"""

import re
import subprocess
import sys
import textwrap
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from growbench import families, methods
from growbench.analysis import captions, outputs, wording
from growbench.analysis.frames.accounting import FRONTIER
from growbench.analysis.pages.markdown import grid
from growbench.analysis.ranking import ranked
from growbench.records.layout import Layout
from growbench.study import config

ROOT = Path(__file__).resolve().parents[1]
FRONT_STUDY = "ladder-a"
TOGETHER = Layout("ladder")  # where the rungs of the ladder are compared
SAVED = ("method", "against the frontier", "against scratch", "p, Holm", "tokens per parameter", "n")
# withdrawn as evidence on 2026-11-26; each has a section in docs/FIRST_STUDIES.md that says what is wrong with it
WITHDRAWN = frozenset({"mini", "mini-bert", "mini-gpt", "mini-gpt-96", "mini-gpt-deep", "mini-gpt-dropout"})
AGAIN = ("mini-gpt", "mini-gpt-tuned")  # the same runs before and after the protocol of 2026-11-26
FIRST = WITHDRAWN | set(AGAIN)  # on the page of the first studies
BEFORE_AFTER = ("method", "LR", "LR now", "warm-up", "warm-up now", "loss", "loss now", "saving", "saving now")
Row = Mapping[str, Any]
WIDTH = 120  # of a line of text
METHODS = ("method", "paper", "grows")  # the README's columns; the others are in docs/METHODS.md


def rulegraph() -> str:
    """Return the demo's rule graph, by `snakemake --rulegraph mermaid-js`, without its colors and numbers."""
    command = [sys.executable, "-m", "snakemake", "--rulegraph", "mermaid-js", "--configfile", "config/demo.yaml"]
    text = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    names = dict(re.findall(r"(id\d+)\[(.+?)\]", text))
    edges = sorted(f"    {names[a]} --> {names[b]}" for a, b in re.findall(r"(id\d+) --> (id\d+)", text))
    return "\n".join(["```mermaid", "flowchart LR", *edges, "```"])


def methods_table() -> str:
    """Return what each method grows, one row per method."""
    return _of_methods(lambda column: column in METHODS)


def options_table() -> str:
    """Return what each method needs, preserves and can be told, one row per method."""
    return _of_methods(lambda column: column == "method" or column not in METHODS)


def families_table() -> str:
    """Return each family's stock class and what its file says of the architecture, one row per family."""
    rows = []
    for family in families.loaded():
        told = (sys.modules[type(family).__module__].__doc__ or "").partition("\n\n")[0]
        rows.append([family.name, family.pretraining, " ".join(told.split()).rstrip(".")])
    return _table(("family", "stock class", "architecture"), rows, left=range(3))


def _of_methods(wanted: Callable[[str], bool]) -> str:
    rows = [methods.load(name).row() for name in methods.names()]
    columns = [column for column in rows[0] if wanted(column)]
    return _table(columns, [[str(row[column]) for column in columns] for row in rows], left=range(len(columns)))


def front() -> str:
    """Return the savings of `FRONT_STUDY` and the ladder's figure. Raises SystemExit if the study is not to be published."""
    study, page = FRONT_STUDY, studies()[FRONT_STUDY]
    rows, bases = _savings(study), _bases(study)
    refuse_unpublishable(study, rows, bases)
    growing, controls = ranked(rows, bases)
    title = (
        f"Study `{study}`: FLOPs saved at equal loss at the last finished point, the source and growing counted, with "
        "95 % t intervals."
    )
    table = _table(SAVED, [_saved_row(row) for row in (*growing, *controls)])
    starts = ("- Scale: ", "- Records: ", "- Brackets: ", "- Minimum ")
    notes = [line for line in page.splitlines() if line.startswith(starts)]
    figure = f"![savings against tokens per parameter, all rungs]({TOGETHER.figure(outputs.LADDER_FIGURES[0], 'png')})"
    return "\n\n".join([title, table, "\n".join(notes), figure])


def ladder() -> str:
    """Return the page and the figures of the ladder."""
    page = (ROOT / TOGETHER.tables / outputs.LADDER_PAGE).read_text(encoding="utf-8").partition("\n")[2]
    names = (*outputs.LADDER_FIGURES, outputs.PAIRS_FIGURE)
    drawn = [name for name in names if (ROOT / TOGETHER.figure(name, "png")).is_file()]
    figures = [f"![{name} of the ladder](../{TOGETHER.figure(name, 'png')})" for name in drawn]
    return "\n\n".join([_deeper(page, "##"), *figures])


def refuse_unpublishable(study: str, rows: Sequence[Row], bases: Mapping[str, str]) -> None:
    """Raise SystemExit for a study that is not withdrawn and whose placebo is missing or saves more than 1 %."""
    found = captions.placebos(rows, bases)
    if not found:
        raise SystemExit(
            f"{study}: it has no placebo; add `placebo` to its methods and run it, then publish its savings"
        )
    for row in filter(captions.fails, found):
        saved = f"saving {wording.saving(row, 'total')}"
        raise SystemExit(f"{study}: {row['method']}: {saved}, but a placebo's is at most 1 %; find the cause first")


def _savings(study: str) -> list[Row]:
    """Return the rows of a study's savings frame."""
    return [
        {str(key): value for key, value in row.items()}
        for row in pd.read_csv(ROOT / Layout(study).tables / "savings.csv").to_dict("records")
    ]


def _saved_row(row: Row) -> list[str]:
    """Return the cells of the savings of a row of the savings frame."""
    savings = [wording.saving(row, name) for name in (FRONTIER, "total")]
    return [row["method"], *savings, wording.p_value(row["p_holm_frontier"]), wording.tpp(row["tpp"]), str(row["n"])]


def _mark(study: str) -> str:
    return " (superseded)" if study in WITHDRAWN else ""


def results() -> str:
    """Return the tables and figures of the committed studies, but not of the first ones."""
    return _pages({study: page for study, page in studies().items() if study not in FIRST})


def first() -> str:
    """Return the tables and figures of the first studies."""
    return _pages({study: page for study, page in studies().items() if study in FIRST})


def _pages(of: Mapping[str, str]) -> str:
    blocks = []
    for study, page in of.items():
        layout = Layout(study)
        folder, figures = ROOT / layout.tables, sorted(ROOT.glob(str(layout.figure("*", "png"))))
        blocks.append(f"## {study}")
        if study in WITHDRAWN:
            blocks.append(f"**Superseded.** [What is known to be wrong with this study](#{study}).")
        blocks.append(_deeper(page))
        blocks += [
            f"![{figure.stem} of study {study}{_mark(study)}](../{layout.figure(figure.stem, 'png')})"
            for figure in figures
        ]
        others = (folder / name for name in ("scores.md", "zeroshot.md"))
        blocks += [_deeper(other.read_text(encoding="utf-8")) for other in others if other.is_file()]
    return "\n\n".join(blocks)


def before_after() -> str:
    """Return the methods that both studies of `AGAIN` ran: what each was trained with, where it ended, what it saved."""
    (old, rates), (new, tuned) = ((_savings(study), _tuned(study)) for study in AGAIN)
    before = {row["method"]: row for row in old}
    rows = []
    for row in new:
        name, was = row["method"], before.get(row["method"])
        pairs = zip(rates.get(name, ("-", "-")), tuned[name], strict=True)
        losses = ("-" if each is None else f"{each['final_loss']:.3f}" for each in (was, row))
        saved = ("-" if each is None else wording.saving(each, "total") for each in (was, row))
        rows.append([name, *(cell for pair in pairs for cell in pair), *losses, *saved])
    return _table(BEFORE_AFTER, rows)


def _tuned(study: str) -> dict[str, tuple[str, str]]:
    """Return the LR and the warm-up (steps, or a share of the budget) that a study's runs were trained with, by method."""
    found = pd.read_csv(ROOT / Layout(study).tables / "search.csv").drop_duplicates("method")
    used = {row["method"]: (row["lr_used"], row["warmup_used"]) for row in found.to_dict("records")}
    made = config.load(ROOT / "config" / f"{study}.yaml")
    usual = made.optimizer.warmup
    words = f"{usual}" if isinstance(usual, int) else f"{100 * usual['share']:g} %"
    chosen = {name: used[made.tuner(name)] for name in made.methods if made.tuner(name) in used}
    return {name: (f"{lr:.3g}", words if pd.isna(warmup) else f"{warmup:g}") for name, (lr, warmup) in chosen.items()}


def studies() -> dict[str, str]:
    """Return the savings page of every committed study by its name."""
    command = ["git", "ls-files", str(Layout("*").tables / "savings.md")]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    return {Path(name).parts[1]: (ROOT / name).read_text(encoding="utf-8") for name in sorted(found)}


def _bases(study: str) -> dict[str, str]:
    """Return by method the one that it is a variant of, or itself."""
    return {row["method"]: row["base"] for row in _savings(study)}


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], left: Sequence[int] = (0,)) -> str:
    return grid(head, rows, left).rstrip("\n")


def _wrapped(block: str) -> str:
    """Return a block with its paragraphs and list items wrapped; tables, images and code keep their lines."""
    lines = []
    for line in block.split("\n"):
        indent = "  " if line.startswith("- ") else ""
        is_text = len(line) > WIDTH and not line.startswith(("|", "![", " "))
        lines += (
            textwrap.wrap(line, WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)
            if is_text
            else [line]
        )
    return "\n".join(lines)


def _deeper(page: str, marks: str = "###") -> str:
    """Return a page with its headings below those of a study. marks: in place of the first one of each."""
    return re.sub(r"^#", marks, page.strip(), flags=re.MULTILINE)


BLOCKS: dict[str, dict[str, Callable[[], str]]] = {
    "README.md": {"methods": methods_table, "front": front},
    "CONTRIBUTING.md": {"rulegraph": rulegraph},
    "docs/METHODS.md": {"options": options_table, "families": families_table},
    "docs/RESULTS.md": {"ladder": ladder, "results": results},
    "docs/FIRST_STUDIES.md": {"before_after": before_after, "first": first},
}


def render(page: str, text: str) -> str:
    """Return a page's text with its blocks generated again."""
    for name, block in BLOCKS[page].items():
        begin, end = f"<!-- generated: {name} -->", f"<!-- end: {name} -->"
        head, found, rest = text.partition(begin)
        _, closed, tail = rest.partition(end)
        if not found or not closed:
            raise SystemExit(f"{page}: no block {begin} ... {end}; restore it")
        text = f"{head}{begin}\n\n{_wrapped(block())}\n\n{end}{tail}"
    return text


def main() -> int:
    """Write the pages, or with --check only compare them."""
    stale = []
    for page in BLOCKS:
        path = ROOT / page
        old = path.read_text(encoding="utf-8")
        if (new := render(page, old)) != old:
            stale.append(page)
            if "--check" not in sys.argv:
                path.write_text(new, encoding="utf-8")
    if stale and "--check" in sys.argv:
        sys.stderr.write(f"{', '.join(stale)}: generated blocks are out of date; run `make readme`\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Write the generated blocks of README.md, CONTRIBUTING.md and docs/. `make readme` calls it.

    python workflow/readme.py            write them
    python workflow/readme.py --check    only say whether they are up to date (exit status 1 if not)

A block lies between `<!-- generated: <name> -->` and `<!-- end: <name> -->`.
"""

import re
import subprocess
import sys
import textwrap
from collections.abc import Callable, Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from growbench import methods
from growbench.analysis.pages.markdown import grid
from growbench.analysis.ranking import is_control, ranked
from growbench.records.layout import Layout

ROOT = Path(__file__).resolve().parents[1]
FRONT_STUDY = "mini-gpt"  # of the reference studies, the one whose curves have no plateau
FRONT = ("method", "final loss, nats", "FLOPs, target only", "FLOPs, everything counted", "n")
# withdrawn as evidence on 2026-11-26; each has a section in docs/RESULTS.md that says what is wrong with it
WITHDRAWN = frozenset({"mini", "mini-bert", "mini-gpt", "mini-gpt-96", "mini-gpt-deep", "mini-gpt-dropout"})
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


def _of_methods(wanted: Callable[[str], bool]) -> str:
    rows = [methods.load(name).row() for name in methods.names()]
    columns = [column for column in rows[0] if wanted(column)]
    return _table(columns, [[str(row[column]) for column in columns] for row in rows], left=range(len(columns)))


def front() -> str:
    """Return the final losses of `FRONT_STUDY`, no savings, and its figure; both marked if the study is withdrawn."""
    study, page = FRONT_STUDY, studies()[FRONT_STUDY]
    folder = ROOT / Layout(study).tables
    bases = _bases(study)
    frame = pd.read_csv(folder / "savings.csv").to_dict("records")
    rows = sorted(frame, key=lambda row: (is_control(bases[row["method"]]), row["source_flops"] > 0, row["final_loss"]))
    notes = [line for line in page.splitlines() if line.startswith(("- Scale: ", "- Records: "))]
    figure = f"![loss against FLOPs, study {study}{_mark(study)}]({Layout(study).figure('loss_vs_flops', 'png')})"
    title = (
        f"Study `{study}`{_mark(study)}: the loss of the last finished model, mean of n seeds. Methods without a trained "
        "source come first, then those with one, then the controls. The groups differ in total FLOPs."
    )
    blocks = [title, _table(FRONT, [_front_row(row) for row in rows]), "\n".join(notes), figure]
    if study in WITHDRAWN:
        blocks.append("*Superseded: table and figure are kept for the record.*")
    return "\n\n".join(blocks)


def _front_row(row: Mapping[Hashable, Any]) -> list[str]:
    """Return the cells of a row of the savings frame."""
    loss, flops = f"{row['final_loss']:.3f}", (f"{row[key]:.2e}" for key in ("flops", "flops_total"))
    return [row["method"], loss, *flops, str(row["n"])]


def _mark(study: str) -> str:
    return " (superseded)" if study in WITHDRAWN else ""


def results() -> str:
    """Return the tables and figures of every committed study."""
    blocks = []
    for study, page in studies().items():
        layout = Layout(study)
        folder, figures = ROOT / layout.tables, sorted(ROOT.glob(str(layout.figure("*", "png"))))
        blocks.append(f"## {study}")
        if study in WITHDRAWN:
            blocks.append(f"**Superseded.** [What is known to be wrong with this study](#{study}).")
        blocks.append(_deeper(_with_ranked_tables(study, page)))
        blocks += [
            f"![{figure.stem} of study {study}{_mark(study)}](../{layout.figure(figure.stem, 'png')})"
            for figure in figures
        ]
        others = (folder / name for name in ("scores.md", "zeroshot.md"))
        blocks += [_deeper(other.read_text(encoding="utf-8")) for other in others if other.is_file()]
    return "\n\n".join(blocks)


def studies() -> dict[str, str]:
    """Return the savings page of every committed study by its name."""
    command = ["git", "ls-files", str(Layout("*").tables / "savings.md")]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    return {Path(name).parts[1]: (ROOT / name).read_text(encoding="utf-8") for name in sorted(found)}


def _with_ranked_tables(study: str, page: str) -> str:
    """Return a savings page with its tables, at equal loss and at equal score, in the order of the savings."""
    blocks, frames = page.split("\n\n"), iter(("savings", "savings_score"))
    for i, block in enumerate(blocks):
        if block.startswith("| method |"):
            blocks[i] = _ranked(study, next(frames), *_read(block))
    return "\n\n".join(blocks)


def _ranked(study: str, frame: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return two tables: the growing methods with the largest saving first, and the controls."""
    frames = pd.read_csv(ROOT / Layout(study).tables / f"{frame}.csv").to_dict("records")
    cells = {row[0]: row for row in rows}
    growing, controls = ([cells[row["method"]] for row in group] for group in ranked(frames, _bases(study)))
    return "\n\n".join([_table(head, growing), "Controls:", _table(head, controls)])


def _bases(study: str) -> dict[str, str]:
    """Return the method that each entry of a study is or is a variant of."""
    plans = pd.read_csv(ROOT / Layout(study).tables / "plans.csv", usecols=["method", "base"])
    return dict(zip(plans["method"], plans["base"], strict=True))


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], left: Sequence[int] = (0,)) -> str:
    return grid(head, rows, left).rstrip("\n")


def _read(table: str) -> tuple[list[str], list[list[str]]]:
    """Return the head and the rows of a Markdown table."""
    lines = [re.split(r"(?<!\\)\|", line.strip())[1:-1] for line in table.splitlines()]
    head, _, *rows = [[cell.strip().replace("\\|", "|") for cell in line] for line in lines]
    return head, rows


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


def _deeper(page: str) -> str:
    """Return a page with its headings below those of a study."""
    return re.sub(r"^#", "###", page.strip(), flags=re.MULTILINE)


BLOCKS: dict[str, dict[str, Callable[[], str]]] = {
    "README.md": {"methods": methods_table, "front": front},
    "CONTRIBUTING.md": {"rulegraph": rulegraph},
    "docs/METHODS.md": {"options": options_table},
    "docs/RESULTS.md": {"results": results},
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

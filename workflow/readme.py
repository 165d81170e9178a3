"""Write the generated blocks of README.md and docs/RESULTS.md. `make readme` calls it.

    python workflow/readme.py            write them
    python workflow/readme.py --check    only say whether they are up to date (exit status 1 when not)

A block lies between `<!-- generated: <name> -->` and `<!-- end: <name> -->`.
"""

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from growbench import methods
from growbench.analysis.frames.accounting import AT_ISO

ROOT = Path(__file__).resolve().parents[1]
FRONT_STUDY = "mini-gpt"  # of the reference studies, the one whose curves have no plateau
FRONT = (
    "method",
    "saving, target only",
    "saving, everything counted",
    AT_ISO,
    "loss after growth",
    "final loss − scratch's",
    "n",
)


def rulegraph() -> str:
    """Return the demo's rule graph, by `snakemake --rulegraph mermaid-js`, without its colours and numbers."""
    command = [sys.executable, "-m", "snakemake", "--rulegraph", "mermaid-js", "--configfile", "config/demo.yaml"]
    text = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    names = dict(re.findall(r"(id\d+)\[(.+?)\]", text))
    edges = sorted(f"    {names[a]} --> {names[b]}" for a, b in re.findall(r"(id\d+) --> (id\d+)", text))
    return "\n".join(["```mermaid", "flowchart LR", *edges, "```"])


def methods_table() -> str:
    """Return a row for each discovered method."""
    rows = [methods.load(name).row() for name in methods.names()]
    lines = [list(rows[0]), [":---"] * len(rows[0]), *([str(value) for value in row.values()] for row in rows)]
    return "\n".join(map(_line, lines))


def front() -> str:
    """Return the savings of `FRONT_STUDY`, in few columns, and its figure."""
    study, page = FRONT_STUDY, studies()[FRONT_STUDY]
    head, rule, *rows = _grid(page)
    columns = [head.index(name) for name in FRONT if name in head]
    scale = next(line for line in page.splitlines() if line.startswith("- Scale: "))
    records = next(line for line in page.splitlines() if line.startswith("- Records: "))
    lines = [_line([row[i] for i in columns]) for row in (head, rule, *rows)]
    figure = f"![loss against FLOPs, study {study}](figures/{study}/loss_vs_flops.png)"
    return "\n".join([f"Study `{study}`:", "", *lines, "", scale, records, "", figure])


def results() -> str:
    """Return the tables and figures of every committed study."""
    blocks = []
    for study, page in studies().items():
        folder, figures = ROOT / "results" / study / "tables", sorted((ROOT / "figures" / study).glob("*.png"))
        blocks.append(f"## {study}\n\n{_deeper(page)}")
        blocks += [f"![{figure.stem} of study {study}](../figures/{study}/{figure.name})" for figure in figures]
        others = (folder / name for name in ("scores.md", "zeroshot.md"))
        blocks += [_deeper(other.read_text(encoding="utf-8")) for other in others if other.is_file()]
    return "\n\n".join(blocks)


def studies() -> dict[str, str]:
    """Return the savings page of every committed study by its name."""
    command = ["git", "ls-files", "results/*/tables/savings.md"]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    return {Path(name).parts[1]: (ROOT / name).read_text(encoding="utf-8") for name in sorted(found)}


def _grid(page: str) -> list[list[str]]:
    """Return the cells of a page's first table."""
    rows = page.split("\n\n")[1].splitlines()
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _deeper(page: str) -> str:
    """Return a page with its headings below those of a study."""
    return re.sub(r"^#", "###", page.strip(), flags=re.MULTILINE)


BLOCKS: dict[str, dict[str, Callable[[], str]]] = {
    "README.md": {"methods": methods_table, "front": front},
    "CONTRIBUTING.md": {"rulegraph": rulegraph},
    "docs/RESULTS.md": {"results": results},
}


def render(page: str, text: str) -> str:
    """Return a page's text with its blocks made anew."""
    for name, block in BLOCKS[page].items():
        begin, end = f"<!-- generated: {name} -->", f"<!-- end: {name} -->"
        head, found, rest = text.partition(begin)
        _, closed, tail = rest.partition(end)
        if not found or not closed:
            raise SystemExit(f"{page}: no block {begin} ... {end}; put it back")
        text = f"{head}{begin}\n\n{block()}\n\n{end}{tail}"
    return text


def main() -> int:
    """Write the pages, or with --check compare them."""
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

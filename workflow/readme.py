"""Write the generated blocks of README.md: the rule graph, the methods table, the results. `make readme` calls it.

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

ROOT = Path(__file__).resolve().parents[1]
README = ROOT / "README.md"


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
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def table(path: Path) -> str:
    """Return a table's page with its headings below the README's own."""
    return re.sub(r"^#", "####", path.read_text(encoding="utf-8").strip(), flags=re.MULTILINE)


def results() -> str:
    """Return the tables and figures of every committed study."""
    command = ["git", "ls-files", "results/*/tables/savings.md"]
    studies = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    blocks = []
    for path in (ROOT / name for name in sorted(studies)):
        study = path.parts[-3]
        blocks.append(f"### {study}\n\n{table(path)}")
        figures = sorted((ROOT / "figures" / study).glob("*.png"))
        blocks += [f"![{figure.stem} of study {study}](figures/{study}/{figure.name})" for figure in figures]
        others = (path.with_name(name) for name in ("scores.md", "zeroshot.md"))
        blocks += [table(other) for other in others if other.is_file()]
    return "\n\n".join(blocks) or "No study has been run to its end yet."


BLOCKS: dict[str, Callable[[], str]] = {"rulegraph": rulegraph, "methods": methods_table, "results": results}


def render(text: str) -> str:
    """Return the README's text with its blocks made anew."""
    for name in BLOCKS:
        begin, end = f"<!-- generated: {name} -->", f"<!-- end: {name} -->"
        head, found, rest = text.partition(begin)
        _, closed, tail = rest.partition(end)
        if not found or not closed:
            raise SystemExit(f"{README.name}: no block {begin} ... {end}; put it back")
        text = f"{head}{begin}\n\n{BLOCKS[name]()}\n\n{end}{tail}"
    return text


def main() -> int:
    """Write README.md, or with --check compare it."""
    old = README.read_text(encoding="utf-8")
    if "--check" not in sys.argv:
        README.write_text(render(old), encoding="utf-8")
        return 0
    same = render(old) == old
    if not same:
        sys.stderr.write("README.md: its generated blocks are out of date; run `make readme`\n")
    return int(not same)


if __name__ == "__main__":
    sys.exit(main())

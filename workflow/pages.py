"""Pages of the report: every table, the protocol in words, and the configuration with the versions it was run with."""

from pathlib import Path
from typing import Any

import pandas as pd

from growbench.analysis.explorer import page
from growbench.analysis.ladder import rung
from growbench.analysis.pages import html
from growbench.records.layout import Layout
from growbench.runtime import shell
from growbench.runtime.durable import write_text
from growbench.runtime.owned import keep_only
from growbench.study.config import printed


def configuration(options: str, provenance: Path) -> str:
    """Return the study's values, `--config` included, and what made its records."""
    words = shell.split(options)
    marks = [i for i, word in enumerate(words) if word == "--set"]
    files = words[1 : marks[0] if marks else None]
    text = printed(files, [words[i + 1] for i in marks])
    made = html.table(pd.read_csv(provenance, dtype=str))
    note = "<p>All values, and what set each of them.</p>"
    return (
        f"<h1>Configuration</h1>{note}{html.code(text)}<h2>Versions</h2><p>What the records were made with.</p>{made}"
    )


def body(name: str, tables: Path, protocol: Path, options: str) -> str:
    """Return one page's HTML: a Markdown table is preferred to the CSV of its name."""
    if name == "protocol":
        return html.markdown(protocol.read_text(encoding="utf-8"))
    if name == "configuration":
        return configuration(options, tables / "provenance.csv")
    if (tables / f"{name}.md").is_file():
        return html.markdown((tables / f"{name}.md").read_text(encoding="utf-8"))
    return f"<h1>{name}</h1>" + html.table(pd.read_csv(tables / f"{name}.csv", low_memory=False))


def main(job: Any) -> None:
    """Write every page that the rule names."""
    tables, protocol = Path(job.input.tables[0]).parent, Path(job.input.protocol)
    made = [Path(name) for name in job.output.pages]
    for path in made:
        write_text(path, html.document(path.stem, body(path.stem, tables, protocol, job.params.options)))
    explorer, study = Path(job.output.explorer), job.wildcards.study
    write_text(explorer, page.build([rung.read(study, tables)], Layout(study)))
    keep_only(made[0].parent, [path.stem for path in made], [".html"])


if "snakemake" in globals():
    main(globals()["snakemake"])

"""The report: one page, complete, and shown by a browser that has no network."""

import html
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from support import constructed
from support.browser import opened
from support.workflow import ROOT, snakemake

from growbench.analysis import outputs
from growbench.records.layout import Layout
from growbench.study import config

EXPECTED = "cdn.tailwindcss.com should not be used in production"  # Snakemake's page says so; it loads nothing
CONFIG = "config/<img src=x onerror=alert(1)></script>.yaml"  # a name that must stay text in every page
METHODS = {"scratch": 1.0, "stackbert": 1.2, "bert2bert_fpi": 0.5, "direct_copy": 0.9}
DRIVER = """
<script>
const found = {errors: [], shown: {}};
window.addEventListener("error", event => found.errors.push(String(event.message)));
window.addEventListener("unhandledrejection", event => found.errors.push(String(event.reason)));
const pause = () => new Promise(done => setTimeout(done, 50));
window.addEventListener("load", async () => {
  while (!app) await pause();
  for (const [path, result] of Object.entries(results)) {
    const content = {"image/png": "img", "text/html": "html"}[result.mime_type];
    if (!content) continue;
    app.setView({content: content, contentPath: result.data_uri, resultPath: path, navbarMode: "resultinfo"});
    let node = null;
    for (let i = 0; i < 100 && !node; i++) {
      await pause();
      node = [...document.querySelectorAll("#app img, #app iframe")].find(own => own.src === result.data_uri);
    }
    for (let i = 0; i < 100 && content === "img" && node && !(node.complete && node.naturalWidth); i++) await pause();
    const box = node ? node.getBoundingClientRect() : {width: 0, height: 0};
    const said = document.querySelector("#app").textContent.replace(/\\s+/g, " ");
    found.shown[path] = {width: node ? node.naturalWidth || box.width : 0, height: box.height, said: said};
  }
  document.body.innerHTML = "<pre id='found'></pre>";
  document.getElementById("found").textContent = JSON.stringify(found);
});
</script>
"""


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A complete study made from constructed records, with its report."""
    tree = tmp_path_factory.mktemp("report")
    for name in ("workflow", "config", "src", "docs"):
        shutil.copytree(ROOT / name, tree / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    shutil.copy(ROOT / "Snakefile", tree)
    values = {
        "extends": "../demo.yaml", "study": "made", "seeds": [0, 1], "attention": False, "methods": dict.fromkeys(METHODS),
        "budget": {"points": [0.5, 1.0], "total": False}, "tasks": {"names": list(constructed.TASKS)},
        "finetune": {"points": [1.0], "seeds": [0, 1], "lr": constructed.LR},
    }  # fmt: skip
    (tree / CONFIG).parent.mkdir()
    (tree / CONFIG).write_text(json.dumps(values))
    constructed.write(tree, config.load(tree / CONFIG), METHODS, {0: 0.0, 1: 0.02})
    rules = ["--allowed-rules", "aggregate", "figures", "pages", "all"]
    for words in (["--cores", "2", *rules], ["--report", "report.html"]):
        done = snakemake(tree, "--configfile", CONFIG, *words)
        assert done.returncode == 0, done.stderr
    return tree


@pytest.fixture(scope="module")
def report(study: Path) -> str:
    return (study / "report.html").read_text(encoding="utf-8")


def embedded(report: str) -> dict[str, Any]:
    """Return the results that the page holds, by path."""
    found: dict[str, Any] = json.loads(re.search(r"var results = (\{.*?\});\n", report, re.DOTALL)[1])  # type: ignore[index]
    return found


def console(done: subprocess.CompletedProcess[str]) -> list[str]:
    """Return what the page wrote to the console, but for what Snakemake's own page always says."""
    return [line for line in done.stderr.splitlines() if "CONSOLE" in line and EXPECTED not in line]


@pytest.mark.slow
def test_the_report_holds_every_figure_and_table_with_its_caption(study: Path, report: str) -> None:
    found = embedded(report)
    scripts = (study / "workflow/figures").glob("[!_]*.py")
    figures = [path.stem for path in scripts if outputs.has_figure(config.load(study / CONFIG), path.stem)]
    tables = {str(path.relative_to(study)) for path in (study / Layout("made").tables).iterdir()}
    assert len(figures) >= 6 and {f"figures/made/{name}.png" for name in figures} <= set(found)
    assert tables <= set(found)
    assert all(len(result["caption"]) > 60 and result["data_uri"].startswith("data:") for result in found.values())


def test_the_report_says_protocol_configuration_and_versions(study: Path, report: str) -> None:
    pages = {
        path.stem: path.read_text(encoding="utf-8")
        for path in (study / Layout("made").page("savings").parent).iterdir()
    }
    assert "cooled down linearly to LR 0" in pages["protocol"] and "<h2>6 Saving</h2>" in pages["protocol"]
    for word in ("study: made", "mask_rate: 0.3", "abc123def456", "torch"):
        assert word in pages["configuration"]
    assert html.escape(CONFIG) in pages["configuration"] and not any("<img" in page for page in pages.values())
    assert "not reached" in pages["savings"] and "<table>" in pages["savings"]
    assert all(str(Layout("made").page(name)) in embedded(report) for name in pages)
    assert "constant learning rate" in report and "rulegraph_spec" in report
    assert "</script>.yaml" not in report, "a parameter of a job would end the page's script"


def test_the_report_opens_without_network_and_without_errors(study: Path, tmp_path: Path) -> None:
    done = opened(study / "report.html", tmp_path, "--dump-dom")
    assert not console(done), console(done)
    assert re.search(r'id="rulegraph".*?<(canvas|svg)\b', done.stdout, re.DOTALL)
    for word in ("Figures", "Tables", "Protocol and configuration", "Study"):
        assert word in done.stdout


def test_every_figure_and_page_of_the_report_is_shown(study: Path, report: str, tmp_path: Path) -> None:
    driven = study / "driven.html"
    head, end, tail = report.rpartition("</body>")
    driven.write_text(head + DRIVER + end + tail, encoding="utf-8")
    done = opened(driven, tmp_path, "--dump-dom")
    assert not console(done), console(done)
    found = json.loads(html.unescape(re.search(r'<pre id="found">(.*?)</pre>', done.stdout, re.DOTALL)[1]))  # type: ignore[index]
    assert not found["errors"]
    wanted = [path for path, result in embedded(report).items() if result["mime_type"] in ("image/png", "text/html")]
    assert set(found["shown"]) == set(wanted)
    for path, shown in found["shown"].items():
        assert shown["width"] > 300 and shown["height"] > 100, path
        assert "DESCRIPTION" in shown["said"].upper(), path

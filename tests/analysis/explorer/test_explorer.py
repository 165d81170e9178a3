"""The explorer's numbers are the tables', and a real browser shows them, lets the line be dragged, and needs no network."""

import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from support.browser import opened

from growbench.analysis import wording
from growbench.analysis.explorer import chart, data, page
from growbench.analysis.ladder.rung import Rung, read
from growbench.analysis.statistics.reading import Curve
from growbench.analysis.statistics.savings import AT_FIRST, NOT_COMMON, NOT_REACHED, measure_loss
from growbench.records.layout import Layout

ROOT = Path(__file__).resolve().parents[3]
STUDY = Layout("mini-gpt-tuned")  # committed
COUNTED = data.COUNTED["total"]
DRIVER = """
<script>
const pause = ms => new Promise(done => setTimeout(done, ms));
const errors = [];
window.addEventListener("error", event => errors.push(String(event.message)));
const texts = () => [...document.querySelectorAll("#chart svg text")].map(node => node.textContent);
const set = (node, value, kind) => { node.value = value; node.dispatchEvent(new Event(kind, {bubbles: true})); };
window.addEventListener("load", async () => {
  while (!texts().length) await pause(50);
  await pause(200);
  const found = {tables: texts()}, [counted, baseline, reading] = document.querySelectorAll("select");
  set(baseline, [...baseline.options].at(-1).value, "change"); await pause(200);
  found.frontier = texts();
  set(baseline, baseline.options[0].value, "change"); await pause(200);
  const box = document.querySelectorAll("#chart svg path.background")[1].getBoundingClientRect();
  const x = box.left + 0.97 * box.width, from = box.top + 5, to = box.top + SHARE * box.height;
  const fire = (kind, node, y) => node.dispatchEvent(new PointerEvent(kind, {bubbles: true, clientX: x, clientY: y, pointerId: 1}));
  fire("pointerdown", document.elementFromPoint(x, from), from);
  for (let i = 1; i <= 10; i++) { fire("pointermove", window, from + (to - from) * i / 10); await pause(20); }
  fire("pointerup", window, to); await pause(200);
  found.dragged = texts();
  found.place = Number(document.querySelector("input[type=range]").value);
  found.reading = reading.value;
  set(document.querySelector("input[type=text]"), "direct", "input"); await pause(200);
  found.named = texts();
  found.beyond = document.documentElement.scrollWidth - document.documentElement.clientWidth;
  found.links = [...document.querySelectorAll("#chart svg path")].map(node => (node.__data__ || {}).href).filter(Boolean);
  found.ink = [document.body, ...document.querySelectorAll("#chart svg text")].map(node => getComputedStyle(node));
  found.ink = [found.ink[0].color, ...found.ink.slice(1).map(look => look.fill)];
  found.errors = errors;
  document.body.innerHTML = "<pre id='found'></pre>";
  document.getElementById("found").textContent = JSON.stringify(found);
});
</script>
"""


@pytest.fixture(scope="module")
def rung() -> Rung:
    return read(STUDY.study, ROOT / STUDY.tables)


def test_the_first_reading_is_that_of_the_tables(rung: Rung) -> None:
    shown = pd.DataFrame(data.savings(rung))
    shown = shown[(shown["place"] == data.TABLES) & (shown["counted"] == COUNTED)]
    for baseline, name in zip(data.BASELINES, ("total", "frontier"), strict=True):
        texts = shown[shown["baseline"] == baseline].set_index("method")["text"]
        for row in rung.savings.to_dict("records"):
            if row["method"] != "scratch":
                assert texts[row["method"]] == wording.saving({str(k): v for k, v in row.items()}, name)


def test_a_saving_at_a_loss_is_the_ratio_of_costs_there() -> None:
    cost = np.array([[1.0, 10.0, 100.0]] * 2)
    base = Curve(cost=cost, loss=np.array([[5.0, 4.0, 3.0]] * 2))
    own = Curve(cost=cost / 2, loss=np.array([[5.0, 4.0, 3.0], [5.0, 4.0, 3.0]]))
    assert measure_loss(own, 3.5, base).value == pytest.approx(0.5)
    uneven = Curve(cost=cost * [[0.5], [0.25]], loss=own.loss)
    assert measure_loss(uneven, 4.2, base).value == pytest.approx(1 - np.sqrt(0.5 * 0.25))
    low = Curve(cost=cost, loss=base.loss - 1.5)
    assert measure_loss(low, 2.0, base).status == NOT_COMMON, "the baseline never gets there"
    assert measure_loss(base, 2.0, low).status == NOT_REACHED
    assert measure_loss(low, 4.0, base).status == AT_FIRST
    assert measure_loss(base, 4.0, low).status == NOT_REACHED, "the baseline is below it at its first point"


def test_the_page_is_small_and_a_name_cannot_end_its_script(rung: Rung) -> None:
    text = page.build([rung], STUDY)
    assert len(text.encode()) < 3e6 and "http-equiv" not in text
    wicked = "</script><img src=x onerror=alert(1)>"
    renamed = dataclasses.replace(rung, points=rung.points.replace("direct_copy", wicked),
                                  savings=rung.savings.replace("direct_copy", wicked))  # fmt: skip
    made = page.build([renamed], STUDY)
    assert wicked not in made and made.count("</script>") == 2


@pytest.mark.slow
def test_a_ladder_has_every_study_and_links_to_each_of_their_records(rung: Rung) -> None:
    other = dataclasses.replace(rung, study="other")
    text = page.build([rung, other], Layout("ladder"))
    assert '"study "' in text and "../mini-gpt-tuned/records/pretrain/direct_copy-s0.json" in text
    assert "../other/records/pretrain/direct_copy-s0.json" in text


def test_a_drag_moves_the_line_over_the_losses_of_the_study_that_is_shown(rung: Rung) -> None:
    levels = {"low": [4.0, 3.5, 3.0], "high": [9.0, 8.5, 8.0]}
    looks = data.looks([rung])
    vega = chart.spec(data.points(rung, STUDY), data.savings(rung), levels, looks)
    moved = next(signal["on"][0]["update"] for signal in vega["signals"] if signal["name"] == "place")
    assert '{"low": [4.0, 3.0], "high": [9.0, 8.0]}[rung]' in moved


@pytest.mark.slow
@pytest.mark.parametrize(("width", "dark"), [(1400, False), (800, True), (390, False)])
def test_a_browser_shows_the_tables_numbers_and_the_line_can_be_dragged(
    rung: Rung, tmp_path: Path, width: int, dark: bool
) -> None:
    text, share = page.build([rung], STUDY), 0.5
    place = tmp_path / "explorer.html"
    end = text.rindex("</body>")
    place.write_text(text[:end] + DRIVER.replace("SHARE", str(share)) + text[end:], encoding="utf-8")
    words = ["--force-dark-mode", "--blink-settings=preferredColorScheme=0"] if dark else []
    done = opened(place, tmp_path / "profile", f"--window-size={width},1100", *words, "--dump-dom")
    found: dict[str, Any] = json.loads(re.search(r"<pre id=\"found\">(.*?)</pre>", done.stdout, re.DOTALL)[1])  # type: ignore[index]
    assert not found["errors"] and found["beyond"] == 0, "nothing lies to the right of the window"
    assert set(found["ink"]) == {"rgb(230, 230, 230)" if dark else "rgb(34, 34, 34)"}, "all text is seen on its paper"
    for row in rung.savings.to_dict("records"):
        if row["method"] != "scratch":
            own = {str(key): value for key, value in row.items()}
            assert (
                wording.saving(own, "total") in found["tables"] and wording.saving(own, "frontier") in found["frontier"]
            )
    levels = data.losses(rung)
    assert found["reading"] == chart.AT_LINE and 0 < found["place"] < data.LOSSES - 1
    scratch, cost = rung.measured.curve("scratch", "flops_total"), "flops_total"
    saved = measure_loss(rung.measured.curve("direct_copy", cost), float(levels[found["place"]]), scratch)
    wanted = wording.percent(saved.value) + wording.ends(
        {"v_lo": saved.interval.lo, "v_hi": saved.interval.hi}, "v", 1, scale=100
    )
    assert wanted in found["dragged"] and wanted in found["named"]
    assert "stackbert" in found["dragged"] and "stackbert" not in found["named"]
    assert set(found["links"]) == {"records/pretrain/direct_copy-s0.json"}

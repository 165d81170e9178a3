"""What captions say of a study, from rows written by hand."""

from typing import Any

import pandas as pd
import pytest

from growbench.analysis import captions

BASES = {"scratch": "scratch", "grown": "bert2bert_fpi", "longer": "source_longer", "twin": "placebo"}


def row(method: str, **values: Any) -> dict[str, Any]:
    """Return a row of the savings frame."""
    plain = {"n": 3, "tpp": 5.0, "source_tpp": None, "detectable_frontier": 0.05, "detectable_total": 0.02}
    saved = {"saving_total": 0.2, "saving_total_lo": 0.1, "saving_total_hi": 0.3, "status_total": "reached"}
    return {"method": method, **plain, **saved, "share_not_reached_total": 0.0, **values}


def points(*methods: str, target: str = "(4, 128)") -> pd.DataFrame:
    """Return a points frame of these methods; source_longer has the source's size."""
    rows = [
        {
            "method": method, "study": "made", "protocol": "trunk", "family": "gpt2", "source": "(2, 64)",
            "target": "(2, 64)" if BASES.get(method) == "source_longer" else target, "commit": "abc", "hardware": "CPU",
            "precision": "float32", "flops_total": 1e12,
        }
        for method in methods
    ]  # fmt: skip
    return pd.DataFrame(rows)


def test_a_caption_names_scale_tokens_n_interval_detectable_placebo_and_origin() -> None:
    rows = [
        row("scratch", tpp=10.0),
        row("grown", tpp=8.0, source_tpp=20.0, detectable_frontier=0.031),
        row("longer", tpp=90.0),
    ]
    text = "\n".join(captions.lines(points("scratch", "grown", "longer", "source"), rows, BASES))
    for word in (
        "gpt2 (2, 64) → (4, 128)", "n = 3 pre-training seed(s)", "target 8 to 10; source 20", "95 % t interval",
        "power 0.8, by method): 3.1 %", "No placebo was run", "commit abc; CPU; float32",
    ):  # fmt: skip
        assert word in text, word


@pytest.mark.parametrize(
    ("saved", "above"), [(0.004, False), (-0.01, False), (0.011, True), (-0.02, True), (None, True)]
)
def test_a_placebo_that_saves_more_than_one_per_cent_is_said_to_forbid_publication(
    saved: float | None, above: bool
) -> None:
    status = "not reached" if saved is None else "reached"
    twin = row("twin", saving_total=saved, saving_total_lo=None, saving_total_hi=None, status_total=status)
    text = captions.placebo([row("scratch"), row("grown"), twin], BASES)
    assert text.startswith("Placebo (should save 0): twin saves ") and ("published" in text) == above
    assert captions.fails(twin) == above


def test_the_frontier_is_the_headline_only_where_models_of_two_sizes_were_trained_from_scratch() -> None:
    assert captions.headline(points("scratch", "grown", "source"), BASES) == "frontier"
    assert captions.headline(points("scratch", "longer"), BASES) == "frontier"
    assert captions.headline(points("scratch", "grown", "twin"), BASES) == "total"


def test_what_could_be_detected_is_that_of_growing_methods_alone() -> None:
    rows = [
        row("scratch", detectable_total=0.9),
        row("twin", detectable_total=0.8),
        row("grown", detectable_total=0.04),
    ]
    assert captions.detectable(rows, BASES, "total") == "Minimum detectable saving (power 0.8, by method): 4.0 %."
    assert captions.detectable([row("grown", detectable_total=None)], BASES, "total").endswith("not known.")

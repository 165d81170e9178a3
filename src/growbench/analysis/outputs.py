"""Which files the tables of a study are, and which of them figures read. The workflow imports it: no torch, no pandas."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from growbench.analysis import papers

if TYPE_CHECKING:
    from growbench.study.study import Study

FRAMES = (
    "runs", "points", "savings", "savings_by_point", "differences", "savings_score", "scores", "averages", "curves", "plans",
    "provenance",
)  # fmt: skip
OF_FIGURES = ("points", "savings", "savings_by_point", "scores", "curves", "runs", "plans")
ATTENTION = ("attention_maps", "attention_distance")  # of studies that measure attention
ZEROSHOT = "zeroshot"  # of studies that score without fine-tuning
OPTIONAL = (*ATTENTION, ZEROSHOT)
OF_LADDER = ("savings", "claims", "crossings", "profiles", "sizes", "sources")  # frames of a ladder
LADDER_PAGE = "ladder.md"
LADDER_FIGURES = ("savings", "loss_vs_flops")
PAIRS_FIGURE = "pairs_vs_flops"  # of a ladder with a study that scores minimal pairs
COMPARED = ("points", "savings", "savings_by_point")  # frames of each study that a ladder reads


def names(study: "Study") -> list[str]:
    """Return the names of the files that `growbench aggregate` writes for a study."""
    return [
        *(f"{frame}.csv" for frame in FRAMES),
        "savings.md",
        "scores.md",
        *papers.files(study),
        *(["search.csv"] if any(study.searched(name) for name in study.trained()) else []),
        *(["zeroshot.csv", "zeroshot.md"] if study.zeroshot.names else []),
        *([f"{name}.csv" for name in ATTENTION] if study.attention else []),
    ]


def of_figure(figure: str) -> tuple[str, ...]:
    """Return the names of the frames that a figure reads. Only figures of attention and zero-shot scores read their own."""
    if figure == ZEROSHOT:
        return (*OF_FIGURES, ZEROSHOT)
    return (*OF_FIGURES, *ATTENTION) if figure.startswith("attention") else OF_FIGURES


def has_figure(study: "Study", figure: str) -> bool:
    """Return whether a study has what a figure shows."""
    if figure == ZEROSHOT:
        return bool(study.zeroshot.names)
    return study.attention or not figure.startswith("attention")


def of_ladder(studies: "Sequence[Study]") -> tuple[list[str], list[str]]:
    """Return the names of the tables that `growbench ladder` writes, and those of its figures."""
    pairs = [PAIRS_FIGURE] if any("pairs" in study.zeroshot.names for study in studies) else []
    return [*(f"{frame}.csv" for frame in OF_LADDER), LADDER_PAGE], [*LADDER_FIGURES, *pairs]

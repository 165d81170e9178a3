"""bert2BERT's tables (Chen et al., ACL 2022): table 1, the loss right after growth, the length of its first stage.

It has no images itself: beside a study of images stand the comparisons that LiGO and Mango printed for DeiT.
"""

from growbench.analysis import published
from growbench.analysis.papers.shared.cells import against_source, mean, number, word
from growbench.analysis.papers.shared.columns import (
    FINAL_LOSS,
    FLOPS,
    LEAD,
    OF_ACCURACY,
    ORIGIN,
    TPP,
    Column,
    accuracy,
    average,
    column,
    last,
    saving,
    task,
)
from growbench.analysis.papers.shared.results import Results
from growbench.analysis.papers.shared.rows import PUBLISHED_NOTE, heads, ours, own, theirs
from growbench.analysis.papers.shared.table import Head, Row, Table
from growbench.analysis.papers.shared.tasks import GLUE7, SQUAD1, own_tasks
from growbench.analysis.published import Entry
from growbench.spec import SOURCE

PAPER = "bert2BERT"
TITLES = {
    "scratch": "scratch",
    "mslt": "MSLT",
    "stackbert": "StackBERT",
    "direct_copy": "DirectCopy",
    "bert2bert_fpi": "bert2BERT, FPI",
    "bert2bert_aki": "bert2BERT, AKI",
    "bert2bert": "bert2BERT, AKI + two-stage",
}
OF_IMAGES = {"ki": "KI", "ligo": "LiGO", "mango": "Mango"}  # what LiGO and Mango compare it with
MEAN = "mean of SQuAD1.1 F1 and 7 GLUE tasks"
TARGET_ONLY = saving("target_only", "saving, target only", ["FLOPs saved"])
TOTAL = saving("total", "saving, everything counted")


def _title(entry: Entry) -> str:
    titles = TITLES | OF_IMAGES
    return next((title for file, title in titles.items() if published.named(entry.method, file)), entry.method)


def _order(entry: Entry) -> int:
    titles = [*TITLES.values(), _title(entry)]
    return titles.index(_title(entry))


def _entries(objective: str) -> list[Entry]:
    """Return what is printed beside the study: the paper's parts of its objective, or the DeiT rows of other papers."""
    artefacts = [(PAPER, name) for name in ("Table 1", "source ablation", "GPT")]
    found = [sorted(published.entries(*own, objective=objective), key=_order) for own in artefacts]
    return [entry for part in (*found, published.of_images(objective)) for entry in part]


def main(results: Results) -> Table:
    """Return table 1: cost, saving and scores. A decoder is shown beside its GPT part, a masked model beside its BERT part."""
    image = results.objective == "classification"
    titles = TITLES | (OF_IMAGES if image else {})
    of_text: list[Column] = [] if image else [*SQUAD1[:1], *map(task, GLUE7)]
    columns = [
        FLOPS,
        TARGET_ONLY,
        TOTAL,
        saving("target_only", "speed-up, target only", kind="speedup"),
        *TPP,
        *accuracy(results),
        *of_text,
        *map(task, own_tasks(results, [*SQUAD1, *map(task, GLUE7)])),
        average(MEAN),
    ]
    found = [row for file, title in titles.items() for row in ours(results, file, title, columns)]
    printed = [theirs(entry, _title(entry), columns) for entry in _entries(results.objective)]
    return Table(
        study=results.study,
        name="bert2bert",
        title="bert2BERT, table 1" if not image else "bert2BERT on images",
        heads=heads(columns),
        groups=[found, printed],
        notes=[
            "FLOPs: of the target until it reaches scratch's final validation loss (not reached: it stays above), the source "
            "being free; saving = 1 − FLOPs / scratch's. Everything counted adds the source.",
            "Scores × 100 on the development sets, mean ± standard deviation over runs (* trained on a subset); average: "
            + (
                f"over all tasks of this study. {OF_ACCURACY} bert2BERT has no images; published rows are LiGO's and Mango's."
                if image
                else "ours over all tasks of this study, the paper's over SQuAD v1.1 F1 and the seven GLUE tasks."
            ),
            PUBLISHED_NOTE,
            *results.notes,
        ],
    )


def loss_after_growth(results: Results) -> Table:
    """Return the loss right after growth of every method that grows the trained source, against the source's."""
    names = [name for name in results.methods if len(results.last(name, "grown_loss"))]
    columns = [
        column("source_loss", "source's final loss", lambda r, name: mean(r.source_ends(name), 4)),
        last("grown_loss", "loss right after growth", 4),
        column("difference", "difference", against_source),
        FINAL_LOSS,
        *TPP,
    ]
    found = [own(results, name, name, columns) for name in names]
    artefacts = ((PAPER, "initial loss"), ("AquilaMoE", "initialisation"))
    papers = [published.entries(*artefact, objective=results.objective) for artefact in artefacts]
    return Table(
        study=results.study,
        name="bert2bert_loss_after_growth",
        title="Loss right after growth",
        heads=heads(columns),
        groups=[found, [row for group in papers for row in _printed(group)]],
        notes=[
            "Validation loss in nats of the grown model before its first step, and of the finished source that it grew from; "
            "paired by seed. A low loss at the start does not imply fast training.",
            PUBLISHED_NOTE,
            *results.notes,
        ],
    )


def _printed(entries: list[Entry]) -> list[Row]:
    """Return the published rows of what was grown, each with the loss of a source of its setting."""
    losses = {e.setting: e.values.get("MLM loss", e.values.get("loss")) for e in entries if e.method == SOURCE}
    rows: list[Row] = []
    for entry in entries:
        after = entry.values.get("MLM loss after growth", entry.values.get("loss after growth"))
        if after is None:
            continue
        before = losses.get(entry.setting)
        cells = {
            "source_loss": number(before, 2),
            "grown_loss": number(after, 2),
            "difference": number(None if before is None else after - before, 2, sign=True),
        }
        rows.append({**theirs(entry, entry.method, []), **cells})
    return rows


def stages(results: Results) -> Table:
    """Return the variants of bert2BERT by E_b, the length of the stage on sub-models."""
    names = sorted(results.of("bert2bert"), key=lambda name: float(results.options[name]["E_b"]))
    lead = [*LEAD, Head(key="E_b", text="E_b"), *ORIGIN]
    columns = [
        column("l_b", "l_b", lambda r, name: number(r.options[name]["l_b"], 0)),
        column("init", "init", lambda r, name: word(str(r.options[name]["init"]))),
        FLOPS,
        TARGET_ONLY,
        TOTAL,
        *TPP,
        FINAL_LOSS,
        average(MEAN),
    ]
    found = [{**own(results, name, name, columns), "E_b": number(results.options[name]["E_b"], 3)} for name in names]
    printed = [
        {**theirs(entry, TITLES["bert2bert"], columns), "E_b": word(entry.setting)}
        for entry in published.entries(PAPER, "E_b ablation", objective=results.objective)
    ]
    return Table(
        study=results.study,
        name="bert2bert_stages",
        title="bert2BERT, length of the first stage",
        heads=heads(columns, lead),
        groups=[found, printed],
        notes=[
            "E_b: steps on sub-models, ours as a share of scratch's steps, the paper's in epochs (of BERT-base's pre-training). "
            "l_b: layers per block (0: a quarter of the target's).",
            PUBLISHED_NOTE,
            *results.notes,
        ],
    )


TABLES = {"bert2bert": main, "bert2bert_loss_after_growth": loss_after_growth, "bert2bert_stages": stages}

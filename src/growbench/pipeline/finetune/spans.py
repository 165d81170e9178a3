"""SQuAD with the stock question-answering head: the best span over all windows of a context, or no answer (2.0)."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from growbench import families
from growbench.errors import GrowBenchError
from growbench.pipeline.corpus.plain import PlainTokenizer
from growbench.pipeline.finetune import cut_rows
from growbench.pipeline.finetune.rows import batches, collate, cut, typed
from growbench.pipeline.finetune.tokenized import Outcome, TokenizedTask
from growbench.pipeline.finetune.windows import ContextWindows, context_windows
from growbench.records import predictions
from growbench.study.sections import FinetuneConfig
from growbench.study.study import Study
from growbench.tasks import squad
from growbench.tasks.metrics.squad import best_threshold, each, mean_scores
from growbench.tasks.squad import Question

EVAL_BATCH = 32
N_BEST = 20

Candidate = tuple[float, int, int]  # score (sum of two logits), and the first and one past the last character


@dataclass(frozen=True)
class Spans(TokenizedTask):
    """A version of SQuAD.

    dev: the windows of the dev file.
    questions: the questions of the dev file, in order.
    asked: the number of training questions.
    longest: the largest number of tokens in an answer.
    """

    dev: ContextWindows
    questions: Sequence[Question]
    asked: int
    longest: int

    @property
    def counts(self) -> tuple[int, int]:
        return self.asked, len(self.questions)

    def model(self, folder: Path, pad: int, rates: dict[str, float]) -> Any:
        # The backbone is loaded on its own: in some stock classes it has another name than in the checkpoint.
        from transformers import AutoModel, AutoModelForQuestionAnswering

        backbone = AutoModel.from_pretrained(folder, pad_token_id=pad, **rates)
        model = AutoModelForQuestionAnswering.from_config(backbone.config)
        missing = model.base_model.load_state_dict(backbone.state_dict(), strict=False).missing_keys
        if missing:
            raise GrowBenchError(
                f"{folder}: no tensor {missing[0]}, which the question-answering model needs; train it again"
            )
        return model

    def loss(self, model: Any, batch: dict[str, Tensor]) -> Tensor:
        first, last = batch["labels"].unbind(-1)
        given = {key: value for key, value in typed(model, batch).items() if key != "labels"}
        found: Tensor = model(**given, start_positions=first, end_positions=last).loss
        return found

    def score(self, model: Any, pad: int, device: torch.device) -> Outcome:
        found: list[list[Candidate]] = [[] for _ in self.questions]
        silence, finite = np.full(len(self.questions), np.inf), True
        for rows in batches(self.dev, EVAL_BATCH, None):
            given = typed(model, collate(self.dev, rows, pad, device))
            out = model(**{key: value for key, value in given.items() if key != "labels"})
            logits = torch.stack((out.start_logits, out.end_logits)).float().cpu()
            finite = finite and bool(torch.isfinite(logits).all())
            self._gather(rows, torch.nan_to_num(logits), found, silence)
        chosen = [choose(question.context, spans) for question, spans in zip(self.questions, found, strict=True)]
        return outcome(self.task.name, self.questions, chosen, silence, finite)

    def _gather(self, rows: np.ndarray, logits: Tensor, found: list[list[Candidate]], silence: np.ndarray) -> None:
        """Add the best spans of windows to the lists of their questions.

        A question's null score is the minimum over its windows.
        """
        dev, (start, end) = self.dev, logits
        place, count = (torch.from_numpy(column[rows])[:, None] for column in (dev.place, dev.count))
        columns = torch.arange(start.shape[1])[None]
        best = best_spans(start, end, (columns >= place) & (columns < place + count), self.longest, N_BEST)
        null = (start + end).numpy()[np.arange(len(rows)), dev.null[rows]]
        for row, value, scores, firsts, lasts in zip(rows, null, *(t.tolist() for t in best), strict=True):
            number, shift = dev.question[row], dev.place[row]
            silence[number] = min(silence[number], value)
            for score, first, last in zip(scores, firsts, lasts, strict=True):
                if score > -np.inf:
                    where = dev.spans[row]
                    found[number].append((score, int(where[first - shift, 0]), int(where[last - shift, 1])))

    def majority(self) -> float:
        """Return F1 of never answering: under 2.0 the share of questions without an answer."""
        return float(np.mean([each("", question.answers)[1] for question in self.questions]))


def prepare(study: Study, tokenizer: PlainTokenizer, name: str, settings: FinetuneConfig) -> Spans:
    """Read and tokenize one version. If settings.max_train cuts its training questions, it becomes a subset."""
    task, train, dev = squad.load(name, study)
    train, less = cut(train, settings.max_train)
    task = replace(task, subset=task.subset or less)
    causal = families.load(study.target.family).objective == "clm"
    rows, dev_rows = (context_windows(tokenizer, questions, settings, causal) for questions in (train, dev))
    limit, most, reached = settings.max_length, settings.most_cut, study.reached
    for split, made in zip(cut_rows.SPLITS, (rows, dev_rows), strict=True):
        cut_rows.of_questions(name, split, made.asked, made.asked, limit, most, reached).check(most)
    return Spans(task, rows, dev_rows, reached, questions=dev, asked=len(train), longest=settings.answer_length)


def best_spans(start: Tensor, end: Tensor, inside: Tensor, longest: int, keep: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return the `keep` best spans of each window: score (sum of its two logits), first and last token, [B, keep].

    start, end: logits, [B, T]. inside: which tokens are context, [B, T]. Every span of at most `longest` tokens is
    tried; a span outside the context has score -inf.
    """
    low = float("-inf")
    ends = torch.nn.functional.pad(end.masked_fill(~inside, low), (0, longest - 1), value=low)
    pairs = (start.masked_fill(~inside, low)[:, :, None] + ends.unfold(1, longest, 1)).flatten(1)
    scores, places = pairs.topk(min(keep, pairs.shape[1]))
    return scores, places // longest, places // longest + places % longest


def choose(context: str, found: Sequence[Candidate]) -> tuple[str, float]:
    """Return the text and score of the best candidate that is not only spaces; without one, "" and -inf."""
    for score, start, stop in sorted(found, key=lambda candidate: (-candidate[0], candidate[1:])):
        if text := context[start:stop].strip():
            return text, score
    return "", float("-inf")


def outcome(
    name: str, questions: Sequence[Question], chosen: Sequence[tuple[str, float]], silence: np.ndarray, finite: bool
) -> Outcome:
    """Score the chosen spans.

    Under 2.0 a question stays unanswered if its null score (silence) is higher than the score of its span.

    Kept of each question is its F1. best_*: scores with the threshold on that difference that is best on these same questions, so an upper bound.
    """
    answers, golds = [text for text, _ in chosen], [list(question.answers) for question in questions]
    more: dict[str, float] = {}
    if name == "SQuAD2.0":
        difference = silence - np.asarray([score for _, score in chosen])
        answered, silent = (np.asarray([each(t, g) for t, g in zip(texts, golds, strict=True)])
                            for texts in (answers, [""] * len(answers)))  # fmt: skip
        for column, metric in enumerate(("exact_match", "f1")):
            best, threshold = best_threshold(difference, answered[:, column], silent[:, column])
            more |= {f"best_{metric}": best, f"best_{metric}_threshold": threshold}
        answers = [text if gap <= 0 else "" for text, gap in zip(answers, difference, strict=True)]
    scores = mean_scores(answers, golds)
    kept = predictions.pack([each(*pair)[1] for pair in zip(answers, golds, strict=True)], "score")
    return Outcome({**scores, **more}, len(set(answers)) == 1, finite, kept)

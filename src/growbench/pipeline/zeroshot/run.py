"""growbench zeroshot: finished points of a causal family on text they were not trained for. One record a run and point.

Each test set is tokenised once for all of a method's runs, as plain text (`<unk>` is five characters, never a special token),
after the token that ends a document in training. A model reads as many tokens as it was trained on (objective.length).
"""

import logging
import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from growbench import families
from growbench.errors import GrowBenchError
from growbench.pipeline.zeroshot.likelihood import Scored, Window, score, windows
from growbench.records import finished, record
from growbench.runtime import launch, lock
from growbench.runtime.memory import reuse_freed_memory
from growbench.study.study import Study
from growbench.tasks import language
from growbench.tasks.language import Text

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Ready:
    """A tokenised test set. unknown [windows]: how many scored tokens of each window are the tokenizer's unknown one.
    cut: passages whose beginning did not fit.
    """

    text: Text
    windows: list[Window]
    unknown: np.ndarray
    cut: int


@reuse_freed_memory()
def run(study: Study, method: str, seeds: list[int], points: list[str]) -> list[Path]:
    """Evaluate `points` of a method's runs with these pre-training seeds; return their records."""
    with lock.held(study.layout.lock("zeroshot", method)):
        return _run(study, method, seeds, points)


def _run(study: Study, method: str, seeds: list[int], points: list[str]) -> list[Path]:
    torch.set_num_threads(launch.threads(study.zeroshot.threads))
    trained, paths = record.digest(study.trained_part()), []
    wanted = [(seed, point) for seed in seeds for point in points]
    folders = [finished.point(study.layout, trained, method, seed, point) for seed, point in wanted]
    texts = [language.load(name, study) for name in study.zeroshot.names]
    tokenizer = _tokenizer(study.layout.tokenizer)
    ready = [prepare(study, tokenizer, text) for text in texts]
    family, device = families.load(study.target.family), torch.device("cuda" if torch.cuda.is_available() else "cpu")
    for (seed, point), folder in zip(wanted, folders, strict=True):
        model = family.model_class().from_pretrained(folder).float().to(device).eval()
        runs = []
        for item in ready:
            begun = time.perf_counter()
            found = measured(item, score(family, model, item.windows, study.zeroshot.batch, device))
            runs.append({**found, "seconds": round(time.perf_counter() - begun, 2)})
            log.info("%s-s%d %s %s %s %s", method, seed, point, item.text.name, found["main_metric"], found["score"])
        paths.append(_write(study, method, seed, point, _tokenisation(study, tokenizer), runs))
    return paths


def _write(
    study: Study, method: str, seed: int, point: str, tokenisation: dict[str, Any], runs: list[dict[str, Any]]
) -> Path:
    length, stride = study.objective.length, study.zeroshot.stride
    return record.write(
        study.layout.zeroshot_record(method, seed, point), "zeroshot",
        study=study.study, method=method, seed=seed, point=point, config_hash=record.digest(study.zeroshot_part()),
        window={"length": length, "stride": stride, "context": length - stride + 1},
        tokenisation=tokenisation, runs=runs, provenance=record.provenance(torch.get_num_threads()),
    )  # fmt: skip


def _tokenizer(folder: Path) -> Any:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.backend_tokenizer.encode_special_tokens = True
    return tokenizer


def _tokenisation(study: Study, tokenizer: Any) -> dict[str, Any]:
    """What a reader needs to compare perplexities: the kind of tokens, and what of the text they do not tell apart."""
    encoder, corpus = tokenizer.backend_tokenizer, study.corpus
    return {
        "kind": corpus.tokenizer_name or corpus.tokenizer,
        "vocab": encoder.get_vocab_size(),
        "letter_case": encoder.encode("A", add_special_tokens=False).ids
        != encoder.encode("a", add_special_tokens=False).ids,
        "line_ends": bool(encoder.encode("\n", add_special_tokens=False).ids),
        "unknown_word": encoder.encode(language.UNKNOWN_WORD, add_special_tokens=False).tokens,
    }


def prepare(study: Study, tokenizer: Any, text: Text) -> Ready:
    """Tokenise a test set and cut it into windows. Raises GrowBenchError where a last word does not fit into one."""
    encoder, start, length = tokenizer.backend_tokenizer, tokenizer.sep_token_id, study.objective.length
    if text.last_word:
        cut, shortened = _passages(encoder, start, length, text)
    else:
        ids = np.asarray([start, *encoder.encode(text.running, add_special_tokens=False).ids])
        cut, shortened = windows(ids, length, study.zeroshot.stride), 0
    if not cut:
        raise GrowBenchError(f"zeroshot.names: {text.name} has no tokens under this tokenizer; leave it out")
    unknown = [int(np.sum(w.ids[len(w.ids) - w.scored :] == tokenizer.unk_token_id)) for w in cut]
    return Ready(text, cut, np.asarray(unknown), shortened)


def _passages(encoder: Any, start: int, length: int, text: Text) -> tuple[list[Window], int]:
    """One window a passage, its last word scored: the tokens that reach beyond what is given."""
    found, shortened = [], 0
    for number, (given, last) in enumerate(text.passages, 1):
        encoding = encoder.encode(given + last, add_special_tokens=False)
        scored = sum(end > len(given) for _, end in encoding.offsets)
        if not 0 < scored <= length:
            raise GrowBenchError(
                f"zeroshot.names: the last word of {text.name}'s passage {number} is {scored} tokens, and a model reads "
                f"{length}; raise objective.length or leave {text.name} out"
            )
        ids = np.asarray([start, *encoding.ids])
        shortened += len(ids) > length + 1
        found.append(Window(ids[-(length + 1) :], scored))
    return found, shortened


def measured(ready: Ready, scored: list[Scored]) -> dict[str, Any]:
    """Metrics of one test set, and the counts behind them.

    perplexity: per token. word_perplexity: the same nats over the words between blanks, so that tokenizers compare.
    word_perplexity_eos: over words and line ends, as word-level models count. accuracy: greedy last words of which every
    token is right; a word with an unknown token is wrong.
    """
    text, nats = ready.text, math.fsum(float(part.nats.sum()) for part in scored)
    tokens, words = sum(len(part.nats) for part in scored), text.words
    metrics: dict[str, float | None] = {"perplexity": _exp(nats, tokens), "word_perplexity": _exp(nats, words)}
    main = "word_perplexity"
    if text.last_word:
        right = [bool(part.right.all()) for part in scored]
        metrics["accuracy"], main = float(np.mean(np.asarray(right) & (ready.unknown == 0))), "accuracy"
    else:
        metrics["word_perplexity_eos"] = _exp(nats, words + len(text.lines))
    failed = None in metrics.values()
    counts = {"n_tokens": tokens, "n_words": words, "n_lines": len(text.lines), "n_unknown": int(ready.unknown.sum())}
    return {
        "task": text.name, "subset": text.subset, **counts, "n_cut": ready.cut,
        "nats": nats if math.isfinite(nats) else None, "metrics": metrics, "main_metric": main, "score": metrics[main],
        "failed": failed,
    }  # fmt: skip


def _exp(nats: float, count: int) -> float | None:
    """exp(nats / count); None where that is no finite number."""
    value = nats / count
    return math.exp(value) if value < 700 else None

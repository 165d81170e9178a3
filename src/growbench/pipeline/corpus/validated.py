"""On how many windows and documents a study's models are validated, in words."""

from collections.abc import Iterator
from typing import Any

from growbench.errors import GrowBenchError
from growbench.pipeline.corpus import corpus, parts
from growbench.pipeline.corpus.parts import Purpose
from growbench.study.study import Study


def lines(study: Study) -> Iterator[str]:
    """Yield one line for each purpose. Numbers of windows and documents are known once there is a corpus."""
    made = _manifest(study)
    tested = study.corpus.test is not None if made is None else "test" in made
    named: dict[Purpose, str] = {"trunk": "Trunk losses", "report": "Finished points"}
    if study.search.wanted:
        named["choose"] = "Search trials"
    for purpose, words in named.items():
        part = parts.of(purpose, tested)
        most = parts.windows(study, purpose)
        held = ""
        if made is not None:
            entry = made[part.split]
            whole = study.images is not None  # an image is a window of its own
            most = min(
                most, part.count(entry["documents"]) if whole else entry["tokens"] // (study.objective.length - 1)
            )
            held = f": {part.count(entry['documents'])}"
        what, those = ("windows", str(part)) if study.images is None else ("images", part.of("images"))
        yield f"{words}: at most {most} evenly spaced {what} of {part.split} ({those}{held})"


def _manifest(study: Study) -> dict[str, Any] | None:
    """Return the manifest of the study's corpus; None if there is none that can be used."""
    try:
        return corpus.read_manifest(study.layout.corpus)
    except GrowBenchError:
        return None

"""BLiMP (Warstadt et al., TACL 2020, 1912.00582): 67 paradigms of 1,000 minimal pairs, in groups, the phenomena: the values
of the field linguistics_term, of which the paper counts s-selection with argument_structure.

Files: the official JSON lines below data.dir/blimp, one file for each paradigm, or nyu-mll/blimp on the hub. No torch.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from growbench.errors import GrowBenchError, shown
from growbench.records import identity
from growbench.study.study import Study
from growbench.tasks import hub, local
from growbench.tasks.pairs import Pair

FOLDER = "blimp"
ROWS = 1_000  # of each file
PHENOMENA = {
    phenomenon: tuple(names.split())
    for phenomenon, names in {
        "anaphor_agreement": "anaphor_gender_agreement anaphor_number_agreement",
        "argument_structure": "causative drop_argument inchoative intransitive passive_1 passive_2 transitive",
        "binding": "principle_A_c_command principle_A_case_1 principle_A_case_2 principle_A_domain_1 "
        "principle_A_domain_2 principle_A_domain_3 principle_A_reconstruction",
        "control_raising": "existential_there_object_raising existential_there_subject_raising "
        "expletive_it_object_raising tough_vs_raising_1 tough_vs_raising_2",
        "determiner_noun_agreement": "determiner_noun_agreement_1 determiner_noun_agreement_2 "
        "determiner_noun_agreement_irregular_1 determiner_noun_agreement_irregular_2 "
        "determiner_noun_agreement_with_adj_2 determiner_noun_agreement_with_adj_irregular_1 "
        "determiner_noun_agreement_with_adj_irregular_2 determiner_noun_agreement_with_adjective_1",
        "ellipsis": "ellipsis_n_bar_1 ellipsis_n_bar_2",
        "filler_gap_dependency": "wh_questions_object_gap wh_questions_subject_gap "
        "wh_questions_subject_gap_long_distance wh_vs_that_no_gap wh_vs_that_no_gap_long_distance "
        "wh_vs_that_with_gap wh_vs_that_with_gap_long_distance",
        "irregular_forms": "irregular_past_participle_adjectives irregular_past_participle_verbs",
        "island_effects": "adjunct_island complex_NP_island coordinate_structure_constraint_complex_left_branch "
        "coordinate_structure_constraint_object_extraction left_branch_island_echo_question "
        "left_branch_island_simple_question sentential_subject_island wh_island",
        "npi_licensing": "matrix_question_npi_licensor_present npi_present_1 npi_present_2 only_npi_licensor_present "
        "only_npi_scope sentential_negation_npi_licensor_present sentential_negation_npi_scope",
        "quantifiers": "existential_there_quantifiers_1 existential_there_quantifiers_2 superlative_quantifiers_1 "
        "superlative_quantifiers_2",
        "s-selection": "animate_subject_passive animate_subject_trans",
        "subject_verb_agreement": "distractor_agreement_relational_noun distractor_agreement_relative_clause "
        "irregular_plural_subject_verb_agreement_1 irregular_plural_subject_verb_agreement_2 "
        "regular_plural_subject_verb_agreement_1 regular_plural_subject_verb_agreement_2",
    }.items()
}
PARADIGMS = tuple(sorted(name for names in PHENOMENA.values() for name in names))


@dataclass(frozen=True, slots=True)
class Blimp:
    """What was read of BLiMP.

    pairs: with the paradigm as their kind. subset: whether rows or whole paradigms are missing.
    files: the digest of all paradigms: of the SHA-256 of each one's file, or of its rows on the hub.
    """

    pairs: list[Pair]
    subset: bool
    files: dict[str, str]


def load(study: Study) -> Blimp:
    """Return BLiMP from `zeroshot.source`.

    Raises GrowBenchError, naming file and line, if there is no file of a paradigm, or one that is damaged or another one's.
    """
    rows, files = _hub(study) if study.zeroshot.source == "hub" else _local(study)
    complete = all(len(rows.get(name, ())) == ROWS for name in PARADIGMS)
    return Blimp([pair for name in rows for pair in rows[name]], not complete, {"paradigms": identity.digest(files)})


def paths() -> list[str]:
    """Return the paths of the official files below data.dir."""
    return [f"{FOLDER}/{name}.jsonl" for name in PARADIGMS]


def _local(study: Study) -> tuple[dict[str, list[Pair]], dict[str, str]]:
    folder = local.data_folder(study, "zeroshot.source")
    rows, files = {}, {}
    for name in PARADIGMS:
        path = folder / FOLDER / f"{name}.jsonl"
        if path.is_symlink() or path.exists():
            file = local.read(path, folder, "put BLiMP's official file there")
            lines = file.text.removesuffix("\n").split("\n")
            rows[name] = [_parsed(name, line, f"{path}:{number}") for number, line in enumerate(lines, 1)]
            files[name] = file.sha256
    if not rows:
        raise GrowBenchError(f"{folder / FOLDER}: holds no file of BLiMP; put the official files there, one a paradigm")
    return rows, files


def _parsed(name: str, line: str, where: str) -> Pair:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        reason = getattr(error, "msg", None) or type(error).__name__
        raise GrowBenchError(f"{where}: not JSON ({reason}); put BLiMP's official file there") from error
    return _pair(name, row, where, "put BLiMP's official file there")


def _pair(name: str, row: Any, where: str, remedy: str) -> Pair:
    values: Mapping[str, Any] = row if isinstance(row, Mapping) else {}
    texts = [values.get(key) for key in ("sentence_good", "sentence_bad")]
    if not all(isinstance(text, str) and text.strip() and text.isprintable() for text in texts):
        raise GrowBenchError(f"{where}: no text under sentence_good or sentence_bad; {remedy}")
    if values.get("UID") != name:
        raise GrowBenchError(f"{where}: UID is {shown(repr(values.get('UID'))[:60])}, not '{name}'; {remedy}")
    right, wrong = (str(text) for text in texts)
    return Pair(name, right, wrong)


def _hub(study: Study) -> tuple[dict[str, list[Pair]], dict[str, str]]:
    rows: dict[str, list[Pair]] = {}
    for name in PARADIGMS:
        try:
            found: Iterable[Any] = hub.load(study, "nyu-mll/blimp", name, split="train")
        except Exception as error:
            raise GrowBenchError(
                f"zeroshot.source: BLiMP cannot be downloaded ({hub.reason(error)}); fix the network or use local files"
            ) from error
        rows[name] = [_pair(name, row, f"nyu-mll/blimp, {name}", "use local files") for row in found]
    return rows, {name: hub.digest([[p.right, p.wrong] for p in pairs]) for name, pairs in rows.items()}

"""Rewrite the committed records of version 1 as version 2, once: python workflow/migrate_records.py

Version 2 says what a record was made from (`identity`, `made_from`), ties a run's curve to its record, and ends with a
digest. A record of version 1 is migrated only if it is of its study's config today, options and plan included. Then:

- known from the config and the code: the digests of the config and of the method's code, options, plan, learning rate;
- known from the hardware: the precision, float32, as all of these runs were on CPUs;
- null, which readers take as "not recorded": digests of corpus, source, models and task files, and the format of checkpoints;
- what records of before a key existed lack is filled in with what was meant: the default of an option or of a stage, protocol
  `single`, one process; null for a batch size or a tail energy that was not recorded.

The code's digest and versions are those of today: regenerated tables are what shows that nothing changed in between.
"""

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "src"))

from growbench.pipeline.pretrain import identity as run_identity  # noqa: E402
from growbench.records import identity, record, schemas  # noqa: E402
from growbench.runtime import durable  # noqa: E402
from growbench.spec import SOURCE  # noqa: E402
from growbench.study.config import load  # noqa: E402
from growbench.study.study import Study  # noqa: E402
from growbench.study.timeline import CONFIGURED, Peak  # noqa: E402

Values = dict[str, Any]
UNKNOWN = {"version": None, "corpus": None}
KINDS = ("search", "pretrain", "finetune", "zeroshot")  # in this order: a run's identity needs its search
PRECISION = "float32"


def main() -> None:
    """Migrate the records of every study below results/ in the working directory."""
    for folder in sorted(Path("results").glob("*/records")):
        study = load(f"config/{folder.parent.name}.yaml")
        count = sum(migrate(study, path.parent.name, path) for path in ordered(folder))
        print(f"{folder}: {count} records of version 1 rewritten")


def ordered(folder: Path) -> list[Path]:
    """Return the records of a study, the source's first, and searches before runs: others need them."""
    made = ("source.json", "source-s")  # not those of source_longer
    return sorted(
        (path for kind in KINDS for path in (folder / kind).glob("*.json")),
        key=lambda path: (not path.name.startswith(made), KINDS.index(path.parent.name), path.name),
    )


def migrate(study: Study, kind: str, path: Path) -> bool:
    """Rewrite a record; return whether it was of version 1."""
    old = json.loads(path.read_text(encoding="utf-8"))
    if old["version"] == record.VERSION:
        return False
    old["provenance"].setdefault("processes", 1)
    if "EPYC" not in old["provenance"]["hardware"]:
        raise SystemExit(
            f"{path}: made on {old['provenance']['hardware']}; its precision is not known to be {PRECISION}"
        )
    make = {"search": searched, "pretrain": trained, "finetune": finetuned, "zeroshot": evaluated}[kind]
    head = {key: old[key] for key in ("study", "method", "seed", "point") if key in old}
    provenance = {"provenance": old["provenance"]}
    record.write(path, kind, **head, **make(study, path, old), **provenance)
    schemas.check(path, kind, durable.read_json(path))
    return True


def searched(study: Study, path: Path, old: Values) -> Values:
    """Return what a search's record holds, from `config_hash` on."""
    check_config(path, old, trained_before(study))
    wanted = run_identity.wanted(unsearched(study, old), old["method"], old["seed"], study.search.share)
    known = {key: value for key, value in wanted.items() if key not in ("lr", "warmup")} | UNKNOWN
    known |= {"plan": None, "source": unknown_source(study, old), "precision": PRECISION}
    return {
        "config_hash": known["config"],
        "identity": known,
        **{key: old[key] for key in ("share", "lr", "trials")},
    }


def unsearched(study: Study, old: Values) -> Study:
    """Return the study with the LR that a search chose for a method: the search's record cannot be read yet."""
    if old["method"] == SOURCE:
        return replace(study, search=replace(study.search, lrs=()))
    options = {**(study.methods[old["method"]] or {}), "lr": old["lr"]}
    return replace(study, methods={**study.methods, old["method"]: options})


def trained(study: Study, path: Path, old: Values) -> Values:
    """Return what a run's record holds, from `config_hash` on."""
    check_config(path, old, trained_before(study))
    wanted = run_identity.wanted(study, old["method"], old["seed"])
    searched = Peak(wanted["lr"]) if study.searched(old["method"]) else CONFIGURED
    timeline = run_identity.timeline_of(study, old["method"], old["seed"], old["spec"]["vocab"], searched)
    today = identity.parts(options=timeline.options, plan=timeline.plan.to_list())
    options = today["options"] | old["options"]
    plan = [new | then for new, then in zip(today["plan"], old["plan"], strict=True)]
    if {"options": options, "plan": plan} != today:
        raise SystemExit(f"{path}: its options or its plan are not those of its study")
    del wanted["warmup"]  # it was not a part yet
    known = wanted | UNKNOWN | {"plan": identity.digest(plan), "precision": PRECISION}
    return {
        "config_hash": known["config"],
        "identity": known | {"source": unknown_source(study, old)},
        **{key: old[key] for key in ("spec", "source_spec")},
        "options": options,
        "plan": plan,
        "initial_loss": old["initial_loss"],
        "points": [{**point, "tail_energy": point.get("tail_energy"), "model": None} for point in old["points"]],
        "curve": durable.digest(path.with_suffix(".csv")),
        **{key: old[key] for key in ("ledger", "unigram_entropy", "entropy_floor")},
    }


def unknown_source(study: Study, old: Values) -> str | None:
    """Return the source's part of an identity: not recorded, if there is a source."""
    return None if run_identity.needs_source(study, old["method"]) else run_identity.NONE


def finetuned(study: Study, path: Path, old: Values) -> Values:
    """Return what a fine-tuning record holds, from `config_hash` on."""
    check_config(path, old, study.finetuned_part())
    return {
        "config_hash": old["config_hash"],
        "made_from": of_evaluation(old),
        "suite": old["suite"],
        "protocol": old.get("protocol", "single"),
        "runs": [{**run, "batch": run.get("batch")} for run in old["runs"]],
    }


def evaluated(study: Study, path: Path, old: Values) -> Values:
    """Return what a zero-shot record holds, from `config_hash` on."""
    check_config(path, old, study.zeroshot_part())
    return {
        "config_hash": old["config_hash"],
        "made_from": of_evaluation(old),
        **{key: old[key] for key in ("window", "tokenisation", "runs")},
    }


def of_evaluation(old: Values) -> Values:
    return {"config": old["config_hash"], "model": None, "corpus": None, "tasks": None, "precision": PRECISION}


def trained_before(study: Study) -> Values:
    """Return the part of the config that version 1 took the digest of: without the number of positions."""
    return {key: value for key, value in study.trained_part().items() if key != "positions"}


def check_config(path: Path, old: Values, part: Values) -> None:
    """Stop unless a record was made with this part of the config."""
    if old["config_hash"] != record.config_hash(part):
        raise SystemExit(
            f"{path}: config_hash is {old['config_hash']}, but {record.config_hash(part)} with today's config"
        )


if __name__ == "__main__":
    main()

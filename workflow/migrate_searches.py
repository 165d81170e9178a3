"""Rewrite the digests of searches from before they left out finished points, once: python workflow/migrate_searches.py

A trial has one finished point, at its end, so a search no longer depends on the points before it. For each study below
results/ that is one of config/, each record of a search gets the digest of the config without those points. Nothing else of
it changes. A record of another config ends the command with a line.
"""

import sys
from pathlib import Path

from growbench.records import identity, record
from growbench.records.layout import Layout
from growbench.runtime import durable
from growbench.study import ladder
from growbench.study.config import load
from growbench.study.study import Study


def main() -> None:
    paths = [path for path in sorted(Path("config").glob("*.yaml")) if not ladder.given([str(path)])]
    for study in [load(str(path)) for path in paths if Layout(path.stem).root.is_dir()]:
        records = [study.layout.search_record(name) for name in study.trained()]
        changed = sum(migrated(study, path) for path in records if path.exists())
        print(f"{study.study}: {changed} records rewritten")


def migrated(study: Study, path: Path) -> bool:
    """Rewrite the record of a search; return whether that was needed."""
    values = durable.read_json(path)
    before, after = (
        record.config_hash(part) for part in (study.trained_part(), study.trained_part(study.search.share))
    )
    if values["config_hash"] == after:
        return False
    if values["config_hash"] != before or values["identity"]["config"] != before:
        sys.exit(f"{path}: config_hash is {values['config_hash']}, but config/{study.study}.yaml has {before}")
    values |= {"config_hash": after, "identity": values["identity"] | {"config": after}}
    values["digest"] = identity.digest({key: value for key, value in values.items() if key != "digest"})
    durable.write_json(path, values)
    record.read(path, "search", values["method"], values["seed"])
    return True


if __name__ == "__main__":
    main()

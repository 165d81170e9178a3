"""The study whose figures the tests draw, and what its records say beside the constructed ones."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from support import constructed

from growbench.study import scored
from growbench.study.study import Study

VARIANTS = {"two_stage_quarter": 0.25, "two_stage_half": 0.5}
COSTS = {"scratch": 1.0, "stackbert": 1.2, "bert2bert_fpi": 0.5, "net2net": 0.1, "bert2bert": 0.8}
COSTS |= {"bert2bert_aki": 0.7, **dict.fromkeys(VARIANTS, 0.9)}


def study(folder: Path) -> Study:
    """Return a study in which stackbert pools until a growth at 30 % of the budget, and whose two-stage training varies E_b."""
    whole = constructed.study({"scratch": None})
    spec = asdict(whole.target_spec(whole.corpus.vocab))
    plan = [constructed.stage({**spec, "layers": 2}, "init", 0.3, pool=2), constructed.stage(spec, "grow")]
    (folder / "plan.json").write_text(json.dumps(plan))
    methods: dict[str, Any] = dict.fromkeys(COSTS) | {"stackbert": {"plan": str(folder / "plan.json")}}
    methods |= {name: {"of": "bert2bert", "l_b": 2, "E_b": share} for name, share in VARIANTS.items()}
    methods["bert2bert"] = {"l_b": 2}
    changes = {"finetune.points": [0.5, 1.0], "zeroshot.names": ["pairs"], "zeroshot.stride": 32}
    return constructed.study(methods, attention=True, **changes)


def grow(records: Path) -> None:
    """Give stackbert's growth a loss of its own, and its stages their costs."""
    for path in (records / "pretrain").glob("stackbert-*.json"):
        made, rows = json.loads(path.read_text()), path.with_suffix(".csv").read_text()
        made["ledger"] = [
            {**made["ledger"][0], "stage": i, "flops": part * constructed.F} for i, part in ((0, 0.3), (1, 0.55))
        ]
        head, _, rest = rows.partition("\n300,trunk,1,,")
        grown, _, later = rest.partition("\n")
        constructed.dump(path, made, f"{head}\n300,trunk,1,,{grown.replace(',5.0,', ',4.25,')}\n{later}")


def score(study: Study, records: Path) -> None:
    """Write zero-shot records of every finished point: more is right in later points and in later seeds."""
    for method in study.methods:
        for seed in study.seeds:
            for point in scored.points(study, method):
                values = constructed.zeroshot(study, method, seed, 3.0, point)
                values["runs"] = [constructed.pairs(0.6 + 0.001 * int(point[1:]) + 0.02 * seed)]
                constructed.dump(records / "zeroshot" / f"{method}-s{seed}-{point}.json", values)

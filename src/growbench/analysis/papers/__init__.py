"""The papers' tables: one file per paper, and CATALOG says which of its tables a study makes.

A study makes a table if it has at least one method that the table is about, besides scratch. To add a table, write a
function `Results -> Table` in a file here, list it in the file's TABLES, and add a line to CATALOG. The workflow imports
this package, so it imports neither torch nor pandas until a table is built.
"""

import importlib
from collections.abc import Callable
from typing import TYPE_CHECKING

from growbench.methods import Method

if TYPE_CHECKING:
    from growbench.analysis.papers.shared.results import Results
    from growbench.analysis.papers.shared.table import Table
    from growbench.study.study import Study

KINDS = ("csv", "md", "tex")
Wanted = Callable[[Method], bool]


def _one_of(*names: str) -> Wanted:
    return lambda method: method.name in names


def _grows_source(method: Method) -> bool:
    return method.needs_source and bool(method.grows)


BERT2BERT = ("mslt", "stackbert", "direct_copy", "bert2bert_fpi", "bert2bert_aki", "bert2bert")
CATALOG: dict[str, tuple[str, Wanted]] = {
    "overview": ("overview", lambda method: True),
    "bert2bert": ("bert2bert", _one_of(*BERT2BERT)),
    "bert2bert_loss_after_growth": ("bert2bert", _grows_source),
    "bert2bert_stages": ("bert2bert", _one_of("bert2bert")),
    "stackbert": ("stackbert", _one_of("stackbert", "stack")),
    "compoundgrow": ("compoundgrow", _one_of("compoundgrow")),
    "compoundgrow_speedup": ("compoundgrow", _one_of("compoundgrow")),
    "han_zhang": ("han_zhang", _one_of("zero_pad")),
    "han_zhang_eps": ("han_zhang", _one_of("zero_pad")),
    "weight_selection": ("weight_selection", _one_of("weight_selection")),
    "ligo": ("ligo", _one_of("stackbert", "mslt", "ki", "bert2bert", "ligo")),
}


def names(study: "Study") -> tuple[str, ...]:
    """Return the names of the tables that a study makes, in the order of CATALOG."""
    methods = [study.method(name) for name in study.methods]
    return tuple(name for name, (_, wanted) in CATALOG.items() if any(map(wanted, methods)))


def files(study: "Study") -> tuple[str, ...]:
    """Return the names of the files that these tables are written to."""
    return tuple(f"{name}.{kind}" for name in names(study) for kind in KINDS)


def build(name: str, results: "Results") -> "Table":
    """Return one table of a study."""
    module = importlib.import_module(f"growbench.analysis.papers.{CATALOG[name][0]}")
    table: Table = module.TABLES[name](results)
    return table

"""growbench new-method: write the file of a new method, from which the study of it can start at once."""

import keyword
from pathlib import Path

from growbench import methods
from growbench.errors import GrowBenchError
from growbench.runtime import durable
from growbench.study.method_check import NAME

TAKEN = ("all", "source")  # words that mean something else in a config
TEMPLATE = '''"""{title}: what it does, in one sentence (Author et al., venue and year; link).

Rows = in, columns = out; R is the family's own random start:

    W -> [[W, R],
          [R, R]]

Say what the paper says, in equations, and every deviation from it. Predict, before the first run: what will it save against
scratch at 5 tokens per parameter, and below which value will you call it a failure?
"""

from growbench.growth.depth import Depth, stacked
from growbench.growth.widening import Widening, widen
from growbench.methods import Method


class {kind}(Method):
    title = "{title}"
    paper = "Author et al., venue and year"
    preserves = "no"  # when the grown model computes the source's function, in words; `exact` says the same to programs
    options = {{}}  # "name": Option(0.1, "what it does", range=(0.0, 1.0)); import Option, and read options["name"]

    def exact(self, source, target, traits, options) -> bool:
        """Return whether the target computes the source's function. The contract tests measure it on every family."""
        return False

    def widen(self, source, target, options, rng) -> Widening:
        """Return where each coordinate of the target comes from.

        "new" leaves added coordinates random, "balanced" copies the source's in turn, "random" draws them.
        growth/widening.py says what else a Widening can do: fill, noise, masks, statistics.
        """
        return widen(source, target, "new", rng)

    def deepen(self, source_layers, target_layers, options) -> Depth:
        """Return where each layer of the target comes from. growth/depth.py has other orders, and identities."""
        return stacked(source_layers, target_layers)


METHOD = {kind}()
'''


def write(name: str) -> Path:
    """Write the file of a new method and return its path. Raises GrowBenchError for a name that cannot be one, or is taken."""
    if not NAME.fullmatch(name) or keyword.iskeyword(name) or name in TAKEN:
        raise GrowBenchError(
            f"{name}: not a name for a method; use lowercase letters, digits and _, at most 40, a letter first"
        )
    path = methods.FOLDER / f"{name}.py"
    if path.exists():
        raise GrowBenchError(f"{path}: there is a method of this name already; choose another")
    words = name.split("_")
    kind = "".join(word.capitalize() for word in words)
    durable.write_text(path, TEMPLATE.format(title=" ".join(words).capitalize(), kind=kind))
    return path

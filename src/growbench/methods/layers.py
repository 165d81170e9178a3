"""Depth by an explicit list: which source layer each target layer is a copy of.

    layers: 0-23,8-31       SOLAR's 48 layers from 32 (Kim et al., 2023; arXiv 2312.15166)
    layers: solar           two copies of the source that overlap in the middle, at any depth up to twice the source's
    repeat: 8-15            the source, with the block from layer 8 to layer 15 there twice

Layers are counted from 0, and both ends of a range belong to it. Lists with one entry per layer in the stock config
(`layer_types`) follow. The target must have as many layers as the list. Width does not change. Does not preserve the
function.

The list that `solar` gives is that of one step of `gradual` (MIDAS): the middle is there twice.
"""

import re
from typing import Any

from growbench.errors import GrowBenchError
from growbench.growth.depth import Depth, from_list, middle
from growbench.methods import Method, Option

RANGE = re.compile(r"(\d{1,6})(?:-(\d{1,6}))?")


class Layers(Method):
    title = "Layer list"
    paper = "SOLAR: Kim et al., 2023"
    grows = ("layers",)
    options = {
        "layers": Option("solar", "the source layer of each target layer, such as 0-23,8-31; or solar"),
        "repeat": Option(None, "a block of source layers to have twice, such as 8-15, in place of `layers`", text=True),
    }

    def check(self, source, target, traits, options) -> None:
        super().check(source, target, traits, options)
        self.deepen(source.layers, target.layers, options)

    def deepen(self, source_layers, target_layers, options) -> Depth:
        key = "layers" if options["repeat"] is None else "repeat"
        if (key, options[key]) == ("layers", "solar"):
            if target_layers > 2 * source_layers:
                raise GrowBenchError(
                    f"target.layers: {target_layers} is more than two copies of the source's {source_layers} layers have, as "
                    f"solar needs; use at most {2 * source_layers}, or give methods.{self.name}.layers a list"
                )
            return middle(source_layers, target_layers)
        where = f"methods.{self.name}.{key}"
        order = listed(where, options[key])
        if key == "repeat":
            if order != list(range(order[0], order[-1] + 1)):
                raise GrowBenchError(f"{where}: {options[key]!r} is not one block; use FIRST-LAST, such as 8-15")
            order = [*range(order[-1] + 1), *range(order[0], source_layers)]
        if missing := [i for i in order if i >= source_layers]:
            raise GrowBenchError(
                f"{where}: the source has no layer {missing[0]}; use layers from 0 to {source_layers - 1}"
            )
        if len(order) != target_layers:
            raise GrowBenchError(
                f"{where}: it makes {len(order)} layers, but target.layers is {target_layers}; use {len(order)}, or "
                "another list"
            )
        return from_list(order)


def listed(where: str, value: Any) -> list[int]:
    """Return the layers that a value names: 0-2,5 and [0, 1, 2, 5] and [0-2, 5] are the same.

    where: the option's key. Raises GrowBenchError for a value that names no layer, or a part that is not a range.
    """
    parts = value if isinstance(value, list | tuple) else str("" if value is None else value).split(",")
    order: list[int] = []
    for part in parts:
        found = None if isinstance(part, bool | float) else RANGE.fullmatch(str(part).strip())
        first, last = (int(found[1]), int(found[2] or found[1])) if found else (1, 0)
        if first > last and (len(parts) > 1 or str(part).strip()):
            raise GrowBenchError(f"{where}: {part!r} is not a layer or FIRST-LAST; write, for example, 0-23,8-31")
        order += range(first, last + 1)
    if not order:
        raise GrowBenchError(f"{where}: {value!r} names no layer; write, for example, 0-23,8-31")
    return order


METHOD = Layers()

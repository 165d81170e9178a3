"""A linear map of all matrices of all layers, as a ring of four cores (tensor-ring matrix-product operator; Mango).

Sizes of a core: [rank, old, new, rank]; the last rank of one is the first of the next, and that of the last core is the
first's. The full map is the trace over the ranks.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from growbench.growth.learned.slices import Slicing, pieces


def joined(how: Slicing, matrices: Mapping[str, Tensor]) -> Tensor:
    """Return the source's matrices [layers, ...] as one tensor, [layers, slices, written, read]."""
    found = []
    for cut in how.cuts:
        x = matrices[cut.part].mT if cut.flipped else matrices[cut.part]
        for dim, size in enumerate(cut.old, start=1):
            x = _filled(x, dim, how.old, size)
        down, along = how.grid(cut, target=False)
        found.append(x.unflatten(1, (down, -1)).unflatten(3, (along, -1)).transpose(2, 3).flatten(1, 2))
    return torch.cat(found, dim=1)


def mapped(x: Tensor, read: Tensor, slices: Tensor, written: Tensor, layers: Tensor) -> Tensor:
    """Return the target's tensor [layers, slices, written, read]. x: the source's. The others: the cores.

    Ring: slices, written, layers, read. The largest axes come first here, so that few layers are multiplied.
    """
    x = torch.einsum("lboi,sijr->srlboj", x, read)
    x = torch.einsum("srlboj,rbct->stlcoj", x, slices)
    x = torch.einsum("stlcoj,topu->sulcpj", x, written)
    return torch.einsum("sulcpj,ulms->mcpj", x, layers)


def parted(how: Slicing, x: Tensor) -> dict[str, Tensor]:
    """Return the target's matrices [layers, ...] by name: the inverse of `joined`. They are views where they can be."""
    found, begin = {}, 0
    for cut in how.cuts:
        down, along = how.grid(cut, target=True)
        own = x[:, begin : begin + down * along].unflatten(1, (down, along)).transpose(2, 3)
        matrix = own.flatten(3, 4).flatten(1, 2)[:, : cut.new[0], : cut.new[1]]
        found[cut.part] = matrix.mT if cut.flipped else matrix
        begin += down * along
    return found


def projected(x: Tensor, dim: int, matrix: Tensor, size: int) -> Tensor:
    """Return x with one axis mapped slice by slice, slices in turn, and cut to `size`. matrix: [new, old] of one slice."""
    new, old = matrix.shape
    count, wanted = pieces(x.shape[dim], old), pieces(size, new)
    wide = _filled(x, dim, old, x.shape[dim]).movedim(dim, -1).unflatten(-1, (count, old)) @ matrix.mT
    if wanted != count:
        wide = wide.index_select(-2, torch.arange(wanted, device=x.device) % count)
    return wide.flatten(-2)[..., :size].movedim(-1, dim)


def _filled(x: Tensor, dim: int, side: int, size: int) -> Tensor:
    """Return x with an axis filled up to whole slices from its own beginning."""
    whole = pieces(size, side) * side
    return x if whole == size else x.index_select(dim, torch.arange(whole, device=x.device) % size)

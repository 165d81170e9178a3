"""How much of its width does a model use? Singular values of the matrices on its residual stream.

A model of n exact copies has the singular values of its source, and zeros. HyperCloning's paper shows them grow back
in training (Samragh et al., 2024; arXiv 2409.12903). In exact arithmetic and without dropout they cannot: equal
copies get equal gradients.
"""

import torch
from torch import Tensor, nn

from growbench.families import Family, Role, resolve


@torch.no_grad()
def tail_energy(family: Family, model: nn.Module, rank: int) -> float | None:
    """Return the share of energy (sum of squared singular values) beyond the `rank` largest, between 0 and 1.

    It is the mean over the matrices [n, D], n at least D, that read or write the residual stream of D coordinates.
    rank: the hidden size of the source. Returns None if D is not larger: there is no added width.
    """
    table = resolve(family.table(model.config), [name for name, _ in model.named_parameters()], family.name)
    lying = (_stream_in_columns(parameter, table[name]) for name, parameter in model.named_parameters())
    shares = [
        _tail(matrix, rank) for matrix in lying if matrix is not None and matrix.shape[0] >= matrix.shape[1] > rank
    ]
    return sum(shares) / len(shares) if shares else None


def _stream_in_columns(parameter: Tensor, role: Role) -> Tensor | None:
    """Return a matrix with the residual stream along its columns [n, D]; None for any other tensor and for zeros."""
    along = [
        dim for dim, axis in enumerate(role.components[0].axes) if axis.space == "residual" and axis.verb != "scales"
    ]
    if parameter.dim() != 2 or len(along) != 1 or not parameter.any():
        return None
    return parameter.double() if along[0] == 1 else parameter.double().T


def _tail(matrix: Tensor, rank: int) -> float:
    squares = torch.linalg.eigvalsh(matrix.T @ matrix).clamp(min=0.0)
    return float(squares[:-rank].sum() / squares.sum())

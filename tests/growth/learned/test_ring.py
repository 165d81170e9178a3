"""The ring of Mango: its numbers, its full map, and the slices that it works on."""

import math

import pytest
import torch
from support.learned import composed
from support.matrix import cases, source_model

from growbench import families, methods
from growbench.errors import GrowBenchError
from growbench.growth.learned import ring
from growbench.growth.learned.slices import Cut, Slicing

MANGO = methods.load("mango")
# Sum, sum of squares, first and last entry of a product in closed form, at ranks of 1.
EXPECTED = (-7.037468775, 0.210472461, -0.016626092, -0.003962788)


def table(old: int, new: int, value) -> torch.Tensor:
    """Return a core of rank 1."""
    return torch.tensor([[value(x, y) for y in range(new)] for x in range(old)], dtype=torch.float64)[None, :, :, None]


def test_the_product_at_ranks_of_1() -> None:
    source = torch.tensor(
        [
            [
                [[math.sin(1 + 0.3 * b + 0.7 * i + 0.2 * o + 0.5 * l) for i in range(2)] for o in range(2)]
                for b in range(12)
            ]
            for l in range(2)  # noqa: E741
        ],
        dtype=torch.float64,
    )
    found = ring.mapped(
        source,
        read=table(2, 3, lambda x, y: ((x + 2 * y) % 4 + 1) / 10),
        slices=table(12, 12, lambda x, y: ((x + 2 * y) % 5 + 1) / 20),
        written=table(2, 3, lambda x, y: ((2 * x + y) % 4 + 1) / 10),
        layers=table(2, 3, lambda x, y: ((x + y) % 3 + 1) / 10),
    )
    assert found.shape == (3, 12, 3, 3)
    numbers = [float(x) for x in (found.sum(), (found**2).sum(), found[0, 0, 0, 0], found[-1, -1, -1, -1])]
    assert numbers == pytest.approx(EXPECTED, abs=1e-9)


def test_higher_ranks_are_the_trace_of_the_full_map() -> None:
    rng = torch.Generator().manual_seed(0)
    drawn = lambda *shape: torch.randn(shape, generator=rng, dtype=torch.float64)  # noqa: E731
    slices, written, layers, read = drawn(2, 3, 4, 3), drawn(3, 2, 3, 1), drawn(1, 2, 5, 2), drawn(2, 2, 3, 2)
    source = drawn(2, 3, 2, 2)
    wanted = torch.zeros(5, 4, 3, 3, dtype=torch.float64)
    for place in torch.cartesian_prod(*[torch.arange(n) for n in (2, 3, 2, 2, 5, 4, 3, 3)]).tolist():
        l, b, o, i, m, c, p, j = place  # noqa: E741
        one = slices[:, b, c] @ written[:, o, p] @ layers[:, l, m] @ read[:, i, j]
        wanted[m, c, p, j] += one.trace() * source[l, b, o, i]
    assert torch.allclose(ring.mapped(source, read, slices, written, layers), wanted, rtol=0, atol=1e-12)


def test_slices_come_apart_as_they_were_joined() -> None:
    """A matrix of 5 rows and 3 columns in slices of 2, and one that is stored the other way."""
    cuts = (Cut("a", False, (5, 3), (5, 3)), Cut("b", True, (2, 4), (2, 4)))
    how = Slicing(2, 2, (2, 2), cuts)
    matrices = {"a": torch.arange(30.0).view(2, 5, 3), "b": torch.arange(16.0).view(2, 4, 2)}
    joined = ring.joined(how, matrices)
    assert joined.shape == (2, 3 * 2 + 1 * 2, 2, 2)
    # the last row and column of slices are filled up from the beginning
    assert joined[0, 5].tolist() == [[14.0, 12.0], [2.0, 0.0]]
    for name, matrix in ring.parted(how, joined).items():
        assert torch.equal(matrix, matrices[name])


def test_added_slices_are_the_source_s_in_turn() -> None:
    how = Slicing(2, 2, (1, 1), (Cut("fc1", False, (4, 2), (6, 2)), Cut("q", False, (2, 2), (2, 2))))
    assert how.in_turn().argmax(0).tolist() == [0, 1, 0, 2]
    assert how.in_turn().sum(0).tolist() == [1.0] * 4


def test_a_vector_is_mapped_slice_by_slice() -> None:
    matrix = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.5, 0.5]])
    found = ring.projected(torch.tensor([[1.0, 2.0, 3.0, 4.0, 5.0]]), 1, matrix, 11)
    assert found.tolist() == [[1.0, 2.0, 1.5, 3.0, 4.0, 3.5, 5.0, 1.0, 3.0, 1.0, 2.0]]


@pytest.mark.parametrize("ranks", [0, [1, 1, 1], [1, 1, 1, 0], [1, 1, 1, True], [1, 1, 1, 1.0], "1,1,1,1"])
def test_ranks_below_1_are_refused_in_one_line(ranks: object) -> None:
    with pytest.raises(GrowBenchError, match=r"^methods.mango.ranks: .*; use four integers from 1.*$"):
        composed("mango", "gpt2", cases("gpt2")["both"], MANGO.check_options({"ranks": ranks}))


def test_a_growth_that_loses_slices_is_refused_with_the_size_that_does_not() -> None:
    source = families.load("gpt2").spec(source_model("gpt2", cases("gpt2")["both"][0]).config)
    wider = source.resized(hidden=2 * source.hidden, heads=2 * source.heads)
    with pytest.raises(GrowBenchError, match=r"target.ffn: 70 fills 1 slices of 72, .* use at least 73") as caught:
        composed("mango", "gpt2", (source, wider))
    assert "\n" not in str(caught.value)
    composed("mango", "gpt2", (source, wider.resized(ffn=73)))


def test_noise_in_higher_ranks_moves_the_start_by_its_square() -> None:
    case = cases("bert")["both"]

    def start(noise: float) -> torch.Tensor:
        options = MANGO.check_options({"ranks": [2, 2, 2, 2], "width": "copy", "noise": noise})
        return torch.cat([t.detach().flatten() for _, t in composed("mango", "bert", case, options).tensors()])

    known, small, large = (start(noise) for noise in (0.0, 0.01, 0.02))
    ratio = float((large - known).norm() / (small - known).norm())
    assert ratio == pytest.approx(4.0, rel=0.1)

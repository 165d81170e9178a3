"""Maps: counts, draws, grouped heads, and the algebra that preserves a product."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from growbench.errors import GrowBenchError
from growbench.growth import depth, maps
from growbench.spec import ModelSpec

SIZES = st.integers(1, 12).flatmap(lambda n: st.tuples(st.just(n), st.integers(n, 4 * n)))


@given(SIZES, st.sampled_from(["balanced", "shuffled", "random"]), st.integers(0, 99))
def test_reading_undoes_writing(sizes, draw, seed) -> None:
    source, target = sizes
    made = maps.from_index(maps.draw_index(source, target, draw, np.random.default_rng(seed)), source)
    write = np.zeros((target, source))
    write[np.arange(target), made.index] = made.write
    assert np.allclose((write * made.read[:, None]).T @ write, np.eye(source))
    assert made.index[:source].tolist() == list(range(source))


def test_balanced_copies_equally_often_and_numbers_the_copies() -> None:
    made = maps.from_index(maps.draw_index(3, 9, "balanced", np.random.default_rng(0)), 3)
    assert maps.counts(made.index, 3).tolist() == [3, 3, 3]
    assert made.copy.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert (made.read == 1 / 3).all()


def test_shuffled_copies_equally_often_in_an_order_of_the_seed() -> None:
    first, again, other = (maps.draw_index(40, 120, "shuffled", np.random.default_rng(seed)) for seed in (0, 0, 1))
    assert maps.counts(first, 40).tolist() == [3] * 40
    assert first.tolist() == again.tolist() != other.tolist()
    assert first.tolist() != maps.draw_index(40, 120, "balanced", np.random.default_rng(0)).tolist()


def test_new_coordinates_have_no_source_and_are_not_divided() -> None:
    made = maps.from_index(maps.draw_index(2, 4, "new", np.random.default_rng(0)), 2)
    assert made.index.tolist() == [0, 1, maps.NEW, maps.NEW]
    assert made.read.tolist() == [1, 1, 1, 1]


@pytest.mark.parametrize(("heads", "kv_heads"), [(8, 4), (8, 2), (12, 4)])
def test_query_heads_stay_with_their_key_value_group(heads: int, kv_heads: int) -> None:
    small = ModelSpec(
        family="llama", layers=1, hidden=32, heads=4, kv_heads=2, head_size=8, ffn=8, vocab=9, max_length=8
    )
    big = ModelSpec(
        family="llama", layers=1, hidden=64, heads=heads, kv_heads=kv_heads, head_size=8, ffn=8, vocab=9, max_length=8
    )
    for draw in ("balanced", "shuffled", "random"):
        head_index, kv_index = maps.head_indices(small, big, draw, np.random.default_rng(1))
        assert len(head_index) == heads
        for target, source in enumerate(head_index):
            assert source // 2 == kv_index[target // (heads // kv_heads)]


def test_heads_expand_whole() -> None:
    assert maps.expand_heads(np.array([1, 0, maps.NEW]), 2).tolist() == [2, 3, 0, 1, maps.NEW, maps.NEW]


@pytest.mark.parametrize(
    ("layers", "order"),
    [((3, 6), [0, 1, 2, 0, 1, 2]), ((3, 5), [0, 1, 2, 1, 2]), ((2, 2), [0, 1]), ((3, 7), [0, 1, 2, 0, 1, 2, 2])],
)
def test_stacking_puts_the_top_layers_on_top(layers, order) -> None:
    assert [layer.sources[0][0] for layer in depth.stacked(*layers)] == order


def test_interpolation_repeats_in_place_and_never_runs_past_the_end() -> None:
    for source, target in ((4, 8), (6, 12), (12, 24), (3, 5)):
        order = [layer.sources[0][0] for layer in depth.interpolated(source, target)]
        assert order == sorted(order) and order[0] == 0 and order[-1] == source - 1


def test_identities_follow_the_layer_that_they_repeat() -> None:
    order = depth.identities(3, 5)
    assert [(layer.sources[0][0], layer.silent) for layer in order] == [
        (0, False), (0, True), (1, False), (1, True), (2, False)
    ]  # fmt: skip
    assert not any(layer.silent for layer in depth.identities(4, 4))
    assert [layer.sources[0][0] for layer in depth.first(4, 2)] == [0, 1]
    with pytest.raises(GrowBenchError, match="takes layer 2 from source layer 2, but the source has layers 0"):
        depth.check_depth(depth.first(2, 3), 2, 3)


def test_the_middle_is_copied_right_behind_itself() -> None:
    def order(*sizes: int) -> list[int]:
        return [layer.sources[0][0] for layer in depth.middle(*sizes)]

    assert order(6, 8) == [0, 1, 2, 3, 2, 3, 4, 5]
    assert order(3, 4) == [0, 1, 1, 2] and order(2, 4) == [0, 1, 0, 1] and order(3, 3) == [0, 1, 2]
    assert order(2, 5) == [0, 1, 0, 1, 1]


def test_a_map_outside_the_source_or_smaller_than_it_is_refused() -> None:
    with pytest.raises(GrowBenchError, match="not one of"):
        maps.from_index([0, 5], 3)
    with pytest.raises(GrowBenchError, match="cannot shrink"):
        maps.draw_index(4, 3, "balanced", np.random.default_rng(0))


def test_topped_layers_are_new_and_write_nothing() -> None:
    order = depth.topped(2, 4)
    assert [(layer.sources[0][0], layer.silent, layer.fresh) for layer in order] == [
        (0, False, False), (1, False, False), (1, True, True), (1, True, True)
    ]  # fmt: skip

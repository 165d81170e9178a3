"""AKI-Pro: layers repeated in place, heads added inside their groups."""

import pytest
import torch
from support.matrix import cases, grow

from growbench import methods
from growbench.errors import GrowBenchError


def test_layers_are_repeated_in_place_and_columns_come_from_the_next_layer() -> None:
    method = methods.load("aki_pro")
    assert [layer.sources[0][0] for layer in method.deepen(3, 6, {})] == [0, 0, 1, 1, 2, 2]
    _, found = grow("aki_pro", "gpt2", cases("gpt2")["both"])
    options = methods.load("bert2bert_aki").check_options({"depth": "interpolate"})
    _, same = grow("bert2bert_aki", "gpt2", cases("gpt2")["both"], options)
    assert all(torch.equal(a, b) for a, b in zip(found.parameters(), same.parameters(), strict=True))


def test_query_heads_join_their_groups_and_the_number_of_groups_stays() -> None:
    source, target = grow("aki_pro", "llama", cases("llama")["query heads"])  # 6 heads in 2 groups to 12 in 2
    old, new = (m.model.layers[1].self_attn.q_proj.weight for m in (source, target))
    assert torch.equal(new, torch.cat([old[:30], old[:30], old[30:], old[30:]]))
    with pytest.raises(GrowBenchError, match=r"target\.kv_heads: 4 adds groups.*keep 2 or use bert2bert_aki"):
        grow("aki_pro", "llama", cases("llama")["heads"])

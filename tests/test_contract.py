"""Every discovered method: growth is legal, seeded, separate from its source, and preserves what it claims to."""

import pytest
import torch
from helpers import SOURCE, perturbed, token_ids

from growbench import families, methods
from growbench.errors import GrowBenchError
from growbench.grow import grow_model
from growbench.growth.preservation import measure
from growbench.methods._contract import COMMON

FAMILY = families.load("bert")
GROWING = [name for name in methods.names() if methods.load(name).grows]
CASES = {
    "depth": SOURCE.resized(layers=4),
    "depth 2 to 3": SOURCE.resized(layers=3),
    "width": SOURCE.resized(hidden=64, heads=4, ffn=128),
    "width 1.5": SOURCE.resized(hidden=48, heads=3, ffn=96),
    "ffn": SOURCE.resized(ffn=128),
    "both": SOURCE.resized(layers=4, hidden=64, heads=4, ffn=128),
}


def cases(name: str) -> list[str]:
    grows = methods.load(name).grows
    return [c for c in CASES if set(grows) >= {"hidden"} or c.startswith("depth")]


MATRIX = [(name, case) for name in GROWING for case in cases(name)]


def grown(name: str, case: str, seed: int = 0, dtype: torch.dtype = torch.float64):
    source = perturbed(FAMILY, SOURCE, dtype=dtype)
    method = methods.load(name)
    return source, grow_model(source, FAMILY, CASES[case], method, method.check_options({}), seed=seed)


@pytest.mark.parametrize(("name", "case"), MATRIX)
def test_target_is_a_stock_model_that_trains(name: str, case: str) -> None:
    _, target = grown(name, case)
    assert FAMILY.spec(target.config) == CASES[case]
    ids = token_ids(SOURCE)
    optimizer = torch.optim.SGD(target.parameters(), lr=1e-2)
    losses = []
    for _ in range(2):
        optimizer.zero_grad()
        logits = FAMILY.head(target, FAMILY.encode(target, ids))
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), ids.flatten())
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[1] < losses[0]
    assert all(p.grad is not None for n, p in target.named_parameters())


@pytest.mark.parametrize(("name", "case"), MATRIX)
def test_same_seed_same_bytes_and_no_shared_storage(name: str, case: str) -> None:
    source, first = grown(name, case)
    _, second = grown(name, case)
    before = {n: p.clone() for n, p in source.named_parameters()}
    for (n, a), b in zip(first.named_parameters(), second.parameters(), strict=True):
        assert torch.equal(a, b), n
    with torch.no_grad():
        for parameter in first.parameters():
            parameter.add_(1.0)
    for n, p in source.named_parameters():
        assert torch.equal(p, before[n]), n


@pytest.mark.parametrize("name", GROWING)
@pytest.mark.parametrize("tied", [True, False])
def test_tie_is_kept_and_the_directory_reloads(name: str, tied: bool, tmp_path) -> None:
    source = perturbed(FAMILY, SOURCE, dtype=torch.float32)
    if not tied:
        source.config.tie_word_embeddings = False
        fresh = FAMILY.build(source.config)
        fresh.load_state_dict({k: v.clone() for k, v in source.state_dict().items()})
        source = fresh
    method = methods.load(name)
    target = grow_model(source, FAMILY, SOURCE.resized(layers=4), method, method.check_options({}))
    decoder, table = target.cls.predictions.decoder.weight, target.bert.embeddings.word_embeddings.weight
    assert (decoder is table) == tied
    target.save_pretrained(tmp_path)
    again = FAMILY.model_class().from_pretrained(tmp_path)
    assert measure(FAMILY, target, again, token_ids(SOURCE)).max_abs_delta == 0


def test_fpi_is_exact_at_ratio_two_and_drifts_at_one_and_a_half() -> None:
    for dtype, bound in ((torch.float32, 1e-5), (torch.float64, 1e-10)):
        source, target = grown("bert2bert_fpi", "width", dtype=dtype)
        assert measure(FAMILY, source, target, token_ids(SOURCE)).relative_delta <= bound
    source, target = grown("bert2bert_fpi", "width 1.5")
    assert 1e-4 < measure(FAMILY, source, target, token_ids(SOURCE)).relative_delta < 0.5


def test_fpi_is_exact_with_an_untied_head() -> None:
    source = perturbed(FAMILY, SOURCE)
    source.config.tie_word_embeddings = False
    untied = FAMILY.build(source.config).double()
    untied.load_state_dict({k: v.clone() for k, v in source.state_dict().items()})
    with torch.no_grad():
        untied.cls.predictions.decoder.weight.mul_(1.3)
    method = methods.load("bert2bert_fpi")
    target = grow_model(untied, FAMILY, CASES["width"], method, method.check_options({}))
    assert measure(FAMILY, untied.eval(), target, token_ids(SOURCE)).relative_delta <= 1e-10


def test_a_random_map_is_not_exact_under_layer_norm() -> None:
    source = perturbed(FAMILY, SOURCE)
    method = methods.load("bert2bert_fpi")
    target = grow_model(source, FAMILY, CASES["width"], method, method.check_options({"map": "random"}))
    assert measure(FAMILY, source, target, token_ids(SOURCE)).relative_delta > 1e-3


@pytest.mark.parametrize("name", ["bert2bert_aki", "direct_copy"])
def test_methods_that_do_not_preserve_measurably_do_not(name: str) -> None:
    source, target = grown(name, "width")
    assert measure(FAMILY, source, target, token_ids(SOURCE)).relative_delta > 1e-3


def test_aki_top_layer_falls_back_to_fpi_and_lower_ones_take_the_next() -> None:
    source, aki = grown("bert2bert_aki", "width")
    _, fpi = grown("bert2bert_fpi", "width")
    key = "bert.encoder.layer.{}.intermediate.dense.weight"
    a, f = dict(aki.named_parameters()), dict(fpi.named_parameters())
    assert torch.equal(a[key.format(1)], f[key.format(1)])
    assert torch.equal(a[key.format(0)][:64], f[key.format(0)][:64])
    above = source.get_parameter(key.format(1))
    assert torch.allclose(a[key.format(0)][64:], torch.cat([above, above], 1) / 2)


def test_stacking_copies_whole_layers() -> None:
    source, target = grown("stackbert", "depth")
    for t in range(4):
        for (n, a), (_, b) in zip(
            target.bert.encoder.layer[t].named_parameters(),
            source.bert.encoder.layer[t % 2].named_parameters(),
            strict=True,
        ):
            assert torch.equal(a, b), n


def test_three_layers_from_two_put_the_top_layer_on_top() -> None:
    source, target = grown("bert2bert_fpi", "depth 2 to 3")
    top = source.bert.encoder.layer[1].output.dense.weight
    assert torch.equal(target.bert.encoder.layer[2].output.dense.weight, top)


@pytest.mark.parametrize(
    ("sizes", "words"),
    [
        ({"hidden": 30, "heads": 2}, "target.hidden"),
        ({"layers": 1}, "target.layers"),
        ({"ffn": 32}, "target.ffn"),
        ({"hidden": 64, "heads": 2}, "target.heads"),
    ],
)
def test_impossible_growth_is_refused_naming_the_key(sizes: dict[str, int], words: str) -> None:
    source = perturbed(FAMILY, SOURCE)
    method = methods.load("bert2bert_fpi")
    with pytest.raises(GrowBenchError, match=words) as caught:
        grow_model(source, FAMILY, SOURCE.resized(**sizes), method, method.check_options({}))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", methods.names())
def test_declares_itself(name: str) -> None:
    method = methods.load(name)
    assert method.name == name and method.title and method.paper
    assert set(method.check_options({})) == {*COMMON, *method.options}
    plan = method.plan(SOURCE, CASES["both"], method.check_options({}))
    assert plan.stages[-1].spec == CASES["both"]
    with pytest.raises(GrowBenchError, match="unknown option"):
        method.check_options({"no_such_option": 1})

"""Every method x family x case: legal, seeded, separate from its source, and function-preserving if it claims to be."""

import pytest
import torch
from support.helpers import PRICES, SOURCE, drift, inputs
from support.matrix import FAMILIES, GROWING, PAIRS, cases, claimed, grow, mask, source_model, variants

from growbench import families, methods
from growbench.errors import GrowBenchError
from growbench.growth.model import grow_model
from growbench.growth.preservation import measure
from growbench.methods import COMMON
from growbench.spec import SHAPE_KEYS, ModelSpec

BOUNDS = {torch.float64: 1e-10, torch.float32: 1e-5}
VISIBLE = 1e-9


def accepted(method: str, family: str) -> dict[str, tuple[ModelSpec, ModelSpec]]:
    """Return the cases that a method accepts with its default options."""
    found, chosen = {}, families.load(family)
    for name, (source, target) in cases(family).items():
        try:
            config = source_model(family, source).config
            methods.load(method).check(source, target, chosen.traits(config), methods.load(method).check_options({}))
        except GrowBenchError:
            continue
        found[name] = (source, target)
    return found


@pytest.mark.parametrize(("method", "family"), PAIRS)
def test_exact_where_claimed_and_measurably_not_elsewhere(method: str, family: str) -> None:
    grown = 0
    for options in variants(method):
        for name, case in cases(family).items():
            try:
                claim = claimed(method, family, case, options)
                measured = drift(family, *grow(method, family, case, options))
            except GrowBenchError as error:
                assert "\n" not in str(error) and ";" in str(error), error
                continue
            grown += 1
            where = f"{name} {options}: {measured:.1e}"
            assert (measured <= BOUNDS[torch.float64]) if claim else (measured > VISIBLE), where
            if claim:
                single = drift(family, *grow(method, family, case, options, dtype=torch.float32))
                assert single <= BOUNDS[torch.float32], f"{name} {options} float32: {single:.1e}"
    assert grown > 0, "every case was refused"


@pytest.mark.parametrize(("method", "family"), PAIRS)
def test_target_is_a_stock_model_that_trains(method: str, family: str) -> None:
    chosen = families.load(family)
    for case in list(accepted(method, family).values())[-2:]:
        _, target = grow(method, family, case)
        assert chosen.spec(target.config) == case[1]
        optimizer = torch.optim.SGD(target.parameters(), lr=1e-3)
        given, losses = inputs(chosen, target.config), []
        for _ in range(2):
            optimizer.zero_grad()
            logits = chosen.head(target, chosen.encode(target, given)).flatten(0, 1)
            loss = torch.nn.functional.cross_entropy(logits, torch.arange(len(logits)) % logits.shape[-1])
            loss.backward()
            optimizer.step()
            losses.append(float(loss.detach()))
        assert losses[1] < losses[0]
        assert all(p.grad is not None for n, p in target.named_parameters() if "pooler" not in n)


@pytest.mark.parametrize(("method", "family"), PAIRS)
def test_same_seed_same_bytes_and_no_shared_storage(method: str, family: str) -> None:
    case = list(accepted(method, family).values())[-1]
    source, first = grow(method, family, case)
    before = {n: p.detach().clone() for n, p in source.named_parameters()}
    _, second = grow(method, family, case)
    for (n, a), b in zip(first.named_parameters(), second.parameters(), strict=True):
        assert torch.equal(a, b), n
    with torch.no_grad():
        for parameter in first.parameters():
            parameter.add_(1.0)
    for n, p in source.named_parameters():
        assert torch.equal(p, before[n]), n


@pytest.mark.parametrize(("method", "family"), PAIRS)
def test_ties_survive_and_the_directory_reloads(method: str, family: str, tmp_path) -> None:
    chosen = families.load(family)
    case = list(accepted(method, family).values())[-1]
    source, target = grow(method, family, case, dtype=torch.float32)
    if chosen.objective != "classification":
        table, head = target.get_input_embeddings().weight, target.get_output_embeddings()
        assert (head.weight is table) == bool(source.config.tie_word_embeddings)
    target.save_pretrained(tmp_path)
    again = chosen.model_class().from_pretrained(tmp_path).eval()
    if methods.load(method).masked:
        mask(again, method, family, case, methods.load(method).check_options({}))
    assert measure(chosen, target, again, inputs(chosen, target.config)).max_abs_delta == 0


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("method", GROWING)
def test_impossible_growth_is_refused_naming_the_key(method: str, family: str) -> None:
    source = next(iter(cases(family).values()))[0]
    chosen, model = methods.load(method), source_model(family, source)
    wrong = {"layers": {"layers": 1}, "ffn": {"ffn": source.ffn - 1}}
    for axis in ("layers", "ffn", "hidden"):
        if axis not in chosen.grows:
            wrong[f"{axis} up"] = {axis: getattr(source, axis) * 2} | (
                {"heads": source.heads * 2} if axis == "hidden" else {}
            )
    for name, sizes in wrong.items():
        with pytest.raises(GrowBenchError, match=f"target.{name.split()[0]}") as caught:
            target = source.resized(**sizes)
            grow_model(model, families.load(family), target, chosen, chosen.check_options({}))
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("method", methods.names())
def test_a_method_declares_itself(method: str) -> None:
    chosen = methods.load(method)
    assert chosen.name == method and chosen.title and chosen.paper and chosen.ratios and chosen.preserves
    assert set(chosen.grows) <= set(SHAPE_KEYS) or chosen.grows == ("experts",)
    assert set(chosen.check_options({})) == {*COMMON, *chosen.options}
    target = SOURCE.resized(layers=4, hidden=64, heads=4, ffn=128)
    last = chosen.plan(SOURCE, target, chosen.check_options({}), PRICES).stages[-1].spec
    assert last == (SOURCE if method == "source_longer" else target)
    with pytest.raises(GrowBenchError, match="unknown option"):
        chosen.check_options({"no_such_option": 1})

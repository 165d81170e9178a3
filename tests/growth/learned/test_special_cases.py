"""With one-hot factors a learned operator is the one that it generalizes, byte for byte; and so is its own start."""

import pytest
import torch
from support.learned import LEARNED, composed
from support.matrix import FAMILIES, cases, source_model

from growbench import families, methods
from growbench.growth.model import grow_model
from growbench.methods.ligo import Ligo

ORDERS = ("released", "paper")
LIGO = methods.load("ligo")
START = {"steps": 0, "noise": 0.0}


def as_if(name: str) -> Ligo:
    """Return LiGO whose factors start from another method's index maps and depth map."""
    other = methods.load(name)
    given = other.check_options({"noise": 0.0} if "noise" in other.options else {})

    class Other(Ligo):
        def widen(self, source, target, options, rng):
            return other.widen(source, target, given, rng)

        def deepen(self, source_layers, target_layers, options):
            return other.deepen(source_layers, target_layers, given)

    return Other()


def same(family: str, case, made: torch.nn.Module, method, options) -> None:
    """Require that a model is the one that a method's index maps grow."""
    wanted = grow_model(source_model(family, case[0], torch.float32), families.load(family), case[1], method, options)
    for (name, a), b in zip(made.named_parameters(), wanted.parameters(), strict=True):
        assert torch.equal(a, b), name


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(
    ("name", "which"),
    [
        ("stack", "depth x 2"), ("stack", "depth 3 to 5"), ("interpolate", "depth x 2"), ("interpolate", "depth 3 to 5"),
        ("bert2bert_fpi", "width x 2"), ("bert2bert_fpi", "width x 1.5"), ("bert2bert_fpi", "both"),
        ("net2net", "width x 2"), ("net2net", "width x 1.5"), ("net2net", "both"), ("net2net", "depth x 2"), ("bert2bert_fpi", "query heads"),
    ],
)  # fmt: skip
def test_one_hot_factors_give_other_methods(name: str, which: str, family: str, order: str) -> None:
    if which not in cases(family):
        pytest.skip("a family without grouped heads")
    case, other = cases(family)[which], methods.load(name)
    deeper = case[0].layers != case[1].layers
    if name == "net2net" and deeper and not families.load(family).traits().pre_norm:
        pytest.skip("under post-LN an added layer also needs norms of gain 1, which no map of the source's gives")
    options = LIGO.check_options({**START, "order": order, "width": "divided"})
    made = composed(as_if(name), family, case, options, dtype=torch.float32).merged()
    same(family, case, made, other, other.check_options({"noise": 0.0} if "noise" in other.options else {}))


@pytest.mark.parametrize("width", ["copy", "divided"])
@pytest.mark.parametrize("depth", ["stack", "interpolate"])
@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("name", LEARNED)
def test_without_learning_and_noise_it_is_its_own_index_maps(name: str, family: str, depth: str, width: str) -> None:
    chosen = methods.load(name)
    options = chosen.check_options({**START, "depth": depth, "width": width})
    indexed = type("Indexed", (type(chosen),), {"needs_data": False})()
    for which in ("depth x 2", "width x 2", "width x 1.5", "both", "ffn odd"):
        case = cases(family)[which]
        made = composed(name, family, case, options, dtype=torch.float32).merged()
        same(family, case, made, indexed, options)


@pytest.mark.parametrize("ranks", [[1, 1, 1, 1], [2, 1, 3, 2]])
@pytest.mark.parametrize("family", FAMILIES)
def test_mango_starts_as_stacking_and_fpi_if_every_matrix_is_one_slice(family: str, ranks: list[int]) -> None:
    spec = cases(family)["both"][0].resized(hidden=32, heads=4, kv_heads=4, head_size=8, ffn=32)
    target = spec.resized(layers=4, hidden=48, heads=6, kv_heads=6, head_size=8, ffn=48)
    chosen, fpi = methods.load("mango"), methods.load("bert2bert_fpi")
    options = chosen.check_options({**START, "width": "divided", "ranks": ranks})
    made = composed("mango", family, (spec, target), options, dtype=torch.float32).merged()
    same(family, (spec, target), made, fpi, fpi.check_options({}))


def test_its_rows_are_means_and_its_layers_shares() -> None:
    case = cases("gpt2")["both"]
    made = composed("ligo", "gpt2", case)
    factors = dict(zip(made.learned.factors, made.factors, strict=True))
    for name, factor in factors.items():
        assert torch.allclose(factor.sum(-1), torch.ones(factor.shape[:-1], dtype=factor.dtype), atol=1e-6), name
        if name.startswith("depth "):
            assert factor.argmax(-1).tolist() == [t % case[0].layers for t in range(case[1].layers)]
            assert 1 / (1 + 0.03 * (case[0].layers - 1)) <= float(factor.max(-1).values.min()) < 1
        else:
            assert float(factor.min()) > 0 and float(factor.max()) < 4 / factor.shape[-1]
    residual = factors["residual"]
    other = dict(zip(made.learned.factors, composed("ligo", "gpt2", case, seed=1).factors, strict=True))
    assert not torch.equal(other["residual"], residual)

"""Families of mixtures of experts: every parameter has its role, sizes and costs are those of the stock classes."""

import pytest
from support.mixtures import DENSE, spec_of
from support.torch_flops import counted

from growbench import families
from growbench.errors import GrowBenchError
from growbench.families import axis_size
from growbench.plan import flops
from growbench.spec import MixtureSpec, ModelSpec

MIXTURES = list(families.mixtures().values())


@pytest.mark.parametrize("mixture", MIXTURES, ids=lambda mixture: mixture.name)
def test_roles_sizes_and_parameters_are_those_of_the_stock_class(mixture: families.Family) -> None:
    for spec in (mixture.example_spec(), mixture.example_spec().resized(layers=3, ffn=31, vocab=90)):
        config = mixture.config(spec)
        model, roles = mixture.build(config, seed=None), mixture.roles(config)
        assert mixture.spec(config) == spec and families.load(mixture.name) is mixture
        assert mixture.parameters(spec) == sum(p.numel() for p in model.parameters())
        for name, parameter in model.named_parameters():
            rows = {
                c.axes[roles[name].fused]: axis_size(c.axes[roles[name].fused], spec) for c in roles[name].components
            }
            assert all(len(c.axes) == parameter.dim() for c in roles[name].components), name
            if None not in rows.values():
                assert parameter.shape[roles[name].fused] == sum(
                    axis_size(c.axes[roles[name].fused], spec) or 0 for c in roles[name].components
                ), name


@pytest.mark.parametrize("active", [1, 2, 4])
@pytest.mark.parametrize("mixture", MIXTURES, ids=lambda mixture: mixture.name)
def test_flops_of_a_step_count_the_active_experts_alone(mixture: families.Family, active: int) -> None:
    spec = MixtureSpec(**mixture.example_spec().to_dict() | {"active": active})
    model = mixture.build(mixture.config(spec), seed=0)
    ids = mixture.inputs(model.config, batch=2, length=12, seed=1)
    forward, backward = counted(lambda: mixture.head(model, mixture.encode(model, ids)).square().mean())
    step = flops.step(spec, mixture, batch=2, length=12, positions=12)
    assert forward == pytest.approx(step.forward, rel=1e-3)
    assert forward + backward == pytest.approx(step.flops, rel=1e-3)
    dense = ModelSpec(**{k: v for k, v in spec.to_dict().items() if k not in ("experts", "active")})
    assert flops.step(dense, families.load(mixture.dense[0]), batch=2, length=12, positions=12).flops < step.flops


def test_a_mixture_is_no_source_and_each_dense_family_has_one() -> None:
    assert {dense: families.mixture_of(dense).name for dense in DENSE} == {
        "llama": "mixtral", "mistral": "mixtral", "qwen2": "qwen2_moe", "qwen3": "qwen3_moe",
    }  # fmt: skip
    assert not families.mixtures().keys() & set(families.names())
    with pytest.raises(GrowBenchError, match=r"mixtral cannot be grown: .*experts"):
        families.named("mixtral", "config.json: model_type")
    with pytest.raises(GrowBenchError, match=r"target.experts: .*bert.*use one of llama, mistral, qwen2, qwen3"):
        families.mixture_of("bert")


def test_impossible_numbers_of_experts_are_refused() -> None:
    with pytest.raises(GrowBenchError, match=r"model.active: 5 is more than model.experts, 4"):
        spec_of("llama", active=5)
    with pytest.raises(GrowBenchError, match=r"model.experts: 0 is not allowed"):
        spec_of("llama", experts=0)
    values = spec_of("llama").to_dict()
    assert ModelSpec.from_dict(values) == spec_of("llama")

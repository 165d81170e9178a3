"""Families whose FFNs are mixtures of experts behind a router (Shazeer et al., 2017; arXiv 1701.06538).

    y = sum over the `active` experts e with the largest p_e of  p_e / (sum of those p) * FFN_e(x),   p = softmax(x R)

Each has the layers of a dense family, with experts in place of the FFN. A dense model can be grown into it; it is no
source of a growth itself. The stock classes fuse the experts of a layer into two parameters with three axes; files hold
each expert's matrices, under names of their own.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from growbench.errors import GrowBenchError
from growbench.families._family import EXAMPLE, Family
from growbench.families._roles import Component, Table, fixed, fused, linear, reads, role, writes
from growbench.families.llama import L
from growbench.families.mistral import Mistral
from growbench.families.qwen2 import Qwen2
from growbench.families.qwen3 import Qwen3
from growbench.spec import MixtureSpec, ModelSpec, Pixels

MLP = L + "mlp."
DENSE = ("gate_proj.weight", "up_proj.weight", "down_proj.weight")  # the dense FFN's parameters, behind `mlp.`
GATE_UP, DOWN = "mlp.experts.gate_up_proj", "mlp.experts.down_proj"
UP_AXES, DOWN_AXES = (writes("ffn"), reads("residual")), (writes("residual"), reads("ffn"))
WINDOW = "sliding_attention"


def _experts() -> Table:
    """Return the roles of the experts of all layers, and of the router."""
    up = fused(1, "blocks", *(Component(kind, (fixed("expert"), *UP_AXES)) for kind in ("gate", "fc1")))
    down = role("fc2", fixed("expert"), *DOWN_AXES)
    return {
        MLP + "experts.gate_up_proj": replace(up, made_of=DENSE[:2]),
        MLP + "experts.down_proj": replace(down, made_of=DENSE[2:]),
        MLP + "gate.weight": role("router", fixed("expert"), reads("residual")),
    }


def _shared() -> Table:
    """Return the roles of the expert that every token is sent to, and of the number in (0, 1) that it is multiplied by."""
    found = {f"shared_expert.{end}": (kind, UP_AXES, end) for kind, end in zip(("gate", "fc1"), DENSE, strict=False)}
    found["shared_expert.down_proj.weight"] = ("fc2", DOWN_AXES, DENSE[2])
    made = {MLP + name: replace(role(kind, *axes), made_of=(end,)) for name, (kind, axes, end) in found.items()}
    return {**made, **linear(MLP + "shared_expert_gate", "router", fixed("one"), reads("residual"))}


class Mixture(Family):
    """What families of mixtures share. Each also derives from the dense family whose layers it has.

    dense: names of the families that can be grown into it.
    shared: whether one more expert, of the same width, is read by every token, behind a sigmoid.
    stored: the name in files of an expert's gate, up and down matrix, with `{e}` for its number, behind the layer.
    stored_router: the name there of the router.
    """

    dense: tuple[str, ...]
    shared: bool = False
    stored: tuple[str, ...] = tuple(f"mlp.experts.{{e}}.{end}" for end in DENSE)
    stored_router: str = "mlp.gate.weight"

    def table(self, config: Any) -> Table:
        return {**_experts(), **(_shared() if self.shared else {}), **super().table(config)}

    def config(self, spec: ModelSpec, base: Any = None, **settings: Any) -> Any:
        """Return the stock config. base: of this family or of one of `dense`, whose settings go on.

        Experts run one after another: the stock class's grouped products know no float64.
        """
        if base is not None and base.model_type != self.model_type:
            kept = {k: v for k, v in base.to_dict().items() if k not in ("model_type", "architectures", "auto_map")}
            base, settings = None, {**kept, **settings}
        made = super().config(spec, base, **settings)
        made._experts_implementation = "eager"
        return made

    def spec(self, config: Any) -> ModelSpec:
        sizes = {size: getattr(config, key, None) for size, key in self.sizes.items()}
        return MixtureSpec(family=self.name, **{size: value for size, value in sizes.items() if value is not None})

    def example_spec(self) -> ModelSpec:
        return MixtureSpec(family=self.name, **{**EXAMPLE, **self.example}, experts=4, active=2)

    def ffn_products(self, spec: ModelSpec) -> int:
        assert isinstance(spec, MixtureSpec)
        one = super().ffn_products(spec)
        return spec.active * one + spec.experts * spec.hidden + (one + spec.hidden if self.shared else 0)

    def parameters(self, spec: ModelSpec, pixels: Pixels | None = None) -> int:
        assert isinstance(spec, MixtureSpec)
        one = super().ffn_products(spec)
        more = (spec.experts - 1) * one + spec.experts * spec.hidden + (one + spec.hidden if self.shared else 0)
        return super().parameters(spec, pixels) + spec.layers * more

    def counterpart(self, dense: Family, model_class: Any) -> Any:
        """Return the stock class with the same head as one of a dense family. Raises GrowBenchError if there is none."""
        import transformers

        name = self.stock + model_class.__name__.removeprefix(dense.stock)
        if not hasattr(transformers, name):
            raise GrowBenchError(
                f"architectures: {self.name} has no class with the head of {model_class.__name__}; use {dense.pretraining}"
            )
        return getattr(transformers, name)

    def check_source(self, config: Any) -> None:
        """Raise GrowBenchError if a dense model of this stock config has what no model of this family can have."""

    def pieces(self, name: str, shape: tuple[int, ...]) -> Iterator[tuple[str, tuple[int, ...]]]:
        """Yield name and shape of every tensor in files of a parameter [experts, ...] or of the router; nothing for others.

        Of the fused gate and up matrices, each expert's gate comes before its up matrix.
        """
        layer = name.partition("mlp.")[0]
        for end, stored in ((GATE_UP, self.stored[:2]), (DOWN, self.stored[2:])):
            if name.endswith(end):
                rows = shape[1] // len(stored)
                for expert in range(shape[0]):
                    yield from ((layer + each.format(e=expert), (rows, shape[2])) for each in stored)
        if name.endswith(".mlp.gate.weight"):
            yield layer + self.stored_router, shape


def _sized(ffn: str, experts: str, dense: Mapping[str, str]) -> dict[str, str]:
    return {**dense, "ffn": ffn, "experts": experts, "active": "num_experts_per_tok"}


class Mixtral(Mixture, Mistral):
    """Mixtral (Jiang et al., 2024; arXiv 2401.04088): Mistral's layers. The router's weights add up to 1."""

    model_type = "mixtral"
    stock = "Mixtral"
    pretraining = "MixtralForCausalLM"
    dense = ("llama", "mistral")
    stored = tuple(f"block_sparse_moe.experts.{{e}}.{w}.weight" for w in ("w1", "w3", "w2"))
    stored_router = "block_sparse_moe.gate.weight"
    sizes = _sized("intermediate_size", "num_local_experts", {**Mistral.sizes})


class Qwen2Moe(Mixture, Qwen2):
    """Qwen1.5-MoE and Qwen2-MoE (Yang et al., 2024; arXiv 2407.10671): Qwen2's layers and a shared expert.

    The weights add up to 1 only under `norm_topk_prob`, which the released models leave off; here it is on.
    """

    model_type = "qwen2_moe"
    stock = "Qwen2Moe"
    pretraining = "Qwen2MoeForCausalLM"
    dense = ("qwen2",)
    shared = True
    sizes = _sized("moe_intermediate_size", "num_experts", {**Qwen2.sizes})

    def follow(self, spec: ModelSpec, start: Mapping[str, Any]) -> dict[str, Any]:
        own = {"intermediate_size": spec.ffn, "shared_expert_intermediate_size": spec.ffn}
        return {**super().follow(spec, start), **own, **EVERY_LAYER}


class Qwen3Moe(Mixture, Qwen3):
    """Qwen3-MoE (Qwen Team, 2025; arXiv 2505.09388): Qwen3's layers. `norm_topk_prob` is on, as in the released models."""

    model_type = "qwen3_moe"
    stock = "Qwen3Moe"
    pretraining = "Qwen3MoeForCausalLM"
    dense = ("qwen3",)
    sizes = _sized("moe_intermediate_size", "num_experts", {**Qwen3.sizes})

    def follow(self, spec: ModelSpec, start: Mapping[str, Any]) -> dict[str, Any]:
        return {**super().follow(spec, start), "intermediate_size": spec.ffn, **EVERY_LAYER}

    def check_source(self, config: Any) -> None:
        kinds = set(config.layer_types or ())
        if WINDOW in kinds and len(kinds) > 1:
            raise GrowBenchError(
                "layer_types: some layers attend to a sliding window and others do not, and qwen3_moe has one kind for all "
                "layers; use a model with one kind"
            )


EVERY_LAYER = {"norm_topk_prob": True, "decoder_sparse_step": 1, "mlp_only_layers": []}
MIXTURES: dict[str, Mixture] = {family.name: family for family in (Mixtral(), Qwen2Moe(), Qwen3Moe())}

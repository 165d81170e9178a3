"""ViT (Dosovitskiy et al., ICLR 2021; arXiv 2010.11929): pre-LN encoder over image patches and a class token.

A spec's vocab is 0, and its max_length is the number of patches + 1. The head classifies the class token's last state.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from growbench.errors import GrowBenchError
from growbench.families._family import SIZES, Family
from growbench.families._roles import Table, fixed, linear, norm, readout, reads, role, writes
from growbench.spec import ModelSpec, Pixels

if TYPE_CHECKING:
    from torch import Tensor

L = "layers.{l}."
EARLY = "encoder.layer.{l}."  # the names of transformers before its layers were flattened
RESIDUAL, FROM_RESIDUAL, ONE = writes("residual"), reads("residual"), fixed("one")
PIXELS = (fixed("channel"), fixed("height"), fixed("width"))

TABLE: Table = {
    "embeddings.cls_token": role("embedding", ONE, ONE, RESIDUAL),
    "embeddings.mask_token": role("embedding", ONE, ONE, RESIDUAL),
    "embeddings.position_embeddings": role("embedding", ONE, fixed("position"), RESIDUAL),
    "embeddings.patch_embeddings.projection.weight": role("embedding", RESIDUAL, *PIXELS),
    "embeddings.patch_embeddings.projection.bias": role("embedding", RESIDUAL),
    **norm(L + "layernorm_before"),
    **linear(L + "attention.q_proj", "q", writes("heads"), FROM_RESIDUAL),
    **linear(L + "attention.k_proj", "k", writes("kv_heads"), FROM_RESIDUAL),
    **linear(L + "attention.v_proj", "v", writes("kv_heads"), FROM_RESIDUAL),
    **linear(L + "attention.o_proj", "o", RESIDUAL, reads("heads")),
    **norm(L + "layernorm_after"),
    **linear(L + "mlp.fc1", "fc1", writes("ffn"), FROM_RESIDUAL),
    **linear(L + "mlp.fc2", "fc2", RESIDUAL, reads("ffn")),
    **norm(EARLY + "layernorm_before"),
    **linear(EARLY + "attention.attention.query", "q", writes("heads"), FROM_RESIDUAL),
    **linear(EARLY + "attention.attention.key", "k", writes("kv_heads"), FROM_RESIDUAL),
    **linear(EARLY + "attention.attention.value", "v", writes("kv_heads"), FROM_RESIDUAL),
    **linear(EARLY + "attention.output.dense", "o", RESIDUAL, reads("heads")),
    **norm(EARLY + "layernorm_after"),
    **linear(EARLY + "intermediate.dense", "fc1", writes("ffn"), FROM_RESIDUAL),
    **linear(EARLY + "output.dense", "fc2", RESIDUAL, reads("ffn")),
    **norm("layernorm"),
    **readout("classifier", "class"),
    "decoder.0.weight": role("head", fixed("pixel"), FROM_RESIDUAL, ONE, ONE),
    "decoder.0.bias": role("head", fixed("pixel")),
}


def pair(size: Any) -> tuple[int, int]:
    """Return (height, width) of a stock size, which is one number or a pair."""
    return (size, size) if isinstance(size, int) else (size[0], size[1])


def patches(image_size: Any, patch_size: Any) -> int:
    """Return the number of full patches in an image."""
    return math.prod(image // patch for image, patch in zip(pair(image_size), pair(patch_size), strict=True))


class Vit(Family):
    model_type = "vit"
    stock = "ViT"
    pretraining = "ViTForImageClassification"
    objective = "classification"
    spans = False
    tokens = 1
    sizes = {size: key for size, key in SIZES.items() if size not in ("vocab", "max_length")}
    published: tuple[str, ...] = ("DeiT", "ViT", "CaiT", "Vision")
    example = {"hidden": 24, "ffn": 40, "vocab": 0, "max_length": 10}
    example_settings = {"patch_size": 4, "num_labels": 5}

    def table(self, config: Any) -> Table:
        pooled = RESIDUAL if config.pooler_output_size == config.hidden_size else fixed("pooled")
        return {**TABLE, **linear("pooler.dense", "head", pooled, FROM_RESIDUAL)}

    def check(self, spec: ModelSpec) -> None:
        super().check(spec)
        if spec.vocab:
            raise GrowBenchError(f"model.vocab: {spec.vocab}, but images have no tokens; use 0")

    def follow(self, spec: ModelSpec, start: Mapping[str, Any]) -> dict[str, Any]:
        same = start.get("pooler_output_size") in (None, start.get("hidden_size"))
        pooler = {"pooler_output_size": spec.hidden} if same else {}
        return {**pooler, "image_size": self.image_size(spec, start.get("image_size"), start.get("patch_size", 16))}

    def image_size(self, spec: ModelSpec, given: Any, patch_size: Any) -> Any:
        """Return the given image size if it has the spec's number of patches, else the square one that does."""
        count = spec.max_length - self.tokens
        if given is not None and patches(given, patch_size) == count:
            return given
        side = math.isqrt(count)
        if given is not None or side * side != count or not isinstance(patch_size, int):
            raise GrowBenchError(
                f"model.max_length: {spec.max_length} is not {self.tokens} + the number of patches of image_size {given} and "
                f"patch_size {patch_size}; use {self.tokens} + a square number, or give an image_size with that many patches"
            )
        return side * patch_size

    def derived(self, config: Any) -> dict[str, int]:
        return {"vocab": 0, "max_length": patches(config.image_size, config.patch_size) + self.tokens}

    def parameters(self, spec: ModelSpec, pixels: Pixels | None = None) -> int:
        layers = super().parameters(spec)  # and the final norm and the positions
        if pixels is None:
            raise GrowBenchError(f"model.family: {self.name} reads images; say which, to count its parameters")
        outside = (self.tokens + pixels.patch_values + 1) * spec.hidden  # special tokens and the projection of a patch
        return layers + outside + (spec.hidden + 1) * pixels.classes

    def pre_norm(self, config: Any) -> bool:
        return True

    def output_norm(self, config: Any) -> str | None:
        return "vit.layernorm"

    def inputs(self, config: Any, *, batch: int, length: int, seed: int) -> Tensor:
        """Return random pixels [B, C, H, W] of the config's image size; length is not used."""
        shape = (batch, config.num_channels, *pair(config.image_size))
        import torch

        return torch.randn(shape, generator=torch.Generator().manual_seed(seed))

    def encode(self, model: Any, inputs: Tensor) -> Tensor:
        """Map pixels [B, C, H, W] to the class token's last state [B, 1, hidden]."""
        return model.base_model(pixel_values=inputs).last_hidden_state[:, :1]

    def head(self, model: Any, hidden: Tensor) -> Tensor:
        return model.classifier(hidden)


FAMILY = Vit()

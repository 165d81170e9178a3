"""The released LiGO in numbers: every tensor of a small BERT that its code makes of closed-form tensors and factors."""

import json
import math
from pathlib import Path

import pytest
import torch

from growbench import families, methods
from growbench.growth.model import compose_model
from growbench.spec import ModelSpec

# Shape, sum, sum of squares, first and last entry of each tensor, by name.
EXPECTED = json.loads((Path(__file__).parent / "ligo_oracle.json").read_text())
BERT = families.load("bert")
SMALL = ModelSpec(family="bert", layers=2, hidden=4, heads=2, ffn=8, vocab=5, max_length=3)
BIG = SMALL.resized(layers=3, hidden=6, heads=3, ffn=12)
MODULES = (
    "attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense",
    "attention.output.LayerNorm", "intermediate.dense", "output.dense", "output.LayerNorm", "word_embeddings",
    "position_embeddings", "token_type_embeddings", "embeddings.LayerNorm", "transform.dense", "transform.LayerNorm",
    "predictions.decoder",
)  # fmt: skip
STREAMS = ("residual", "q", "k", "v", "ffn", "head")


def decoder(name: str) -> str:
    """Return a parameter's name as in the released code, where the decoder holds its bias."""
    return name.replace("predictions.bias", "predictions.decoder.bias")


def number(name: str) -> int:
    """Return the number of a parameter's module."""
    module = decoder(name).rpartition(".")[0]
    return max((len(m), k) for k, m in enumerate(MODULES) if f".{module}".endswith(f".{m}"))[1]


def entry(name: str, layer: int, *place: int) -> float:
    """Return one entry of a source tensor."""
    k = number(name)
    if len(place) == 2:
        return math.sin(1 + 0.7 * place[0] + 0.3 * place[1] + 0.5 * layer + 0.11 * k)
    shift = 0.5 if name.endswith("bias") else 0.0
    return math.cos(1 + 0.4 * place[0] + 0.5 * layer + 0.11 * (k + shift))


def filled(shape: torch.Size, value) -> torch.Tensor:
    """Return a float64 tensor of the values at each place."""
    places = torch.cartesian_prod(*[torch.arange(n) for n in shape]).view(-1, len(shape)).tolist()
    return torch.tensor([value(*place) for place in places], dtype=torch.float64).view(shape)


def factor(name: str, shape: torch.Size) -> torch.Tensor:
    """Return the closed form of a factor."""
    if name.startswith("depth "):
        k = number(name.removeprefix("depth "))
        shifts = name.rpartition("#")[0].endswith("bias")
        return filled(shape, lambda t, s: (2 + t - s + k) / 20 if shifts else (1 + t + 2 * s + k) / 20)
    m = STREAMS.index(name)
    rows = lambda u, i, j: ((i + 2 * j + m + u) % 4 + 1) / 10  # noqa: E731
    return filled(shape, (lambda i, j: rows(0, i, j)) if len(shape) == 2 else (lambda t, i, j: rows(t + 1, i, j)))


def test_every_tensor_is_that_of_the_released_code() -> None:
    source = BERT.build(BERT.config(SMALL, type_vocab_size=2, tie_word_embeddings=False)).double()
    roles = BERT.roles(source.config)
    with torch.no_grad():
        for name, parameter in source.named_parameters():
            layer = roles[name].layer or 0
            parameter.copy_(filled(parameter.shape, lambda *place, n=name, at=layer: entry(n, at, *place)))
    ligo = methods.load("ligo")
    made = compose_model(source, BERT, BIG, ligo, ligo.check_options({}))
    with torch.no_grad():
        for name, parameter in zip(made.learned.factors, made.factors, strict=True):
            parameter.copy_(factor(name, parameter.shape))
    assert {n for n in made.learned.factors if not n.startswith("depth ")} == set(STREAMS)
    found = {decoder(n): t for n, t in made.tensors()}
    assert found.keys() == EXPECTED.keys() and len(EXPECTED) == 59
    for name, (shape, *numbers) in EXPECTED.items():
        tensor = found[name].detach()
        flat = tensor.flatten()
        assert list(tensor.shape) == shape, name
        measured = [float(x) for x in (flat.sum(), (flat**2).sum(), flat[0], flat[-1])]
        assert measured == pytest.approx(numbers, abs=1e-12), name

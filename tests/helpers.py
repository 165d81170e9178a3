"""Small models with every parameter moved off its default, and the shapes that the contract tests grow."""

import torch
from torch import nn

from growbench.families import Family
from growbench.spec import ModelSpec

SOURCE = ModelSpec(family="bert", layers=2, hidden=32, heads=2, ffn=64, vocab=50, max_length=16)


def perturbed(
    family: Family, spec: ModelSpec, *, seed: int = 0, dtype: torch.dtype = torch.float64, steps: int = 2
) -> nn.Module:
    """A model whose biases, gains and head are far from their defaults, after a few optimizer steps."""
    model = family.build(family.config(spec, **no_dropout()), seed=seed).to(dtype)
    rng = torch.Generator().manual_seed(seed + 1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=rng, dtype=torch.float64).to(dtype))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    ids = token_ids(spec)
    for _ in range(steps):
        optimizer.zero_grad()
        logits = family.head(model, family.encode(model, ids))
        torch.nn.functional.cross_entropy(logits.flatten(0, 1), ids.roll(1, 1).flatten()).backward()
        optimizer.step()
    return model.eval()


def no_dropout() -> dict[str, float]:
    return {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}


def token_ids(spec: ModelSpec, seed: int = 3) -> torch.Tensor:
    return torch.randint(0, spec.vocab, (3, 12), generator=torch.Generator().manual_seed(seed))

"""Shorter inputs by mean-pooled embeddings (CompoundGrow, section 3.3; grow_bert).

The first token and the predicted ones keep their own embeddings; every window of `factor` tokens after the first
becomes its mean: [first] + ceil((T - 1) / factor) means + P predicted. All position embeddings are trained, which
shortened sequences would not do. A predicted token also counts, masked, in its window's mean.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from growbench.families import Family
from growbench.train import cross_entropy
from growbench.train.objective import Batch


@contextmanager
def pooled(model: nn.Module, embeddings: str, factor: int, positions: Tensor) -> Iterator[None]:
    """Make forward passes pool. embeddings: module path of the embeddings. positions: predicted positions [B, P]."""

    def hook(module: nn.Module, args: tuple[object, ...], out: Tensor) -> Tensor:
        body = out[:, 1:]
        body = F.avg_pool1d(body.transpose(1, 2), factor, ceil_mode=True, count_include_pad=False).transpose(1, 2)
        own = out.gather(1, positions[:, :, None].expand(-1, -1, out.shape[2]))
        return torch.cat([out[:, :1], body, own], 1)

    handle = model.get_submodule(embeddings).register_forward_hook(hook)
    try:
        yield
    finally:
        handle.remove()


def loss(family: Family, model: nn.Module, embeddings: str, batch: Batch, factor: int) -> Tensor:
    """Return the mean cross-entropy in nats over the predicted positions of pooled inputs."""
    rows, length = batch.inputs.shape
    places = batch.positions.view(rows, -1) - length * torch.arange(rows, device=batch.inputs.device)[:, None]
    with pooled(model, embeddings, factor, places):
        hidden = family.encode(model, batch.inputs)
    logits = family.head(model, hidden[:, -places.shape[1] :].flatten(0, 1))
    return cross_entropy.mean(logits, batch.labels)

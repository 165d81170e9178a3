"""FLOPs as torch counts them, to compare with ours."""

import torch
from torch.utils.flop_counter import FlopCounterMode

from growbench import families

LANGUAGE = [name for name in families.names() if families.load(name).objective != "classification"]


def counted(forward) -> tuple[float, float]:
    """Return the FLOPs that torch counts for a forward pass and for the backward pass of its value."""
    with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
        with FlopCounterMode(display=False) as first:
            value = forward()
        with FlopCounterMode(display=False) as second:
            value.backward()
    return first.get_total_flops(), second.get_total_flops()

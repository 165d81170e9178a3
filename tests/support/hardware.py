"""A GPU for tests on machines without one."""

import pytest
import torch


def pretend_gpu(patch: pytest.MonkeyPatch, count: int = 1) -> None:
    """Let PyTorch report GPUs that nothing can be moved to: whatever tries raises an error."""
    patch.setattr(torch.cuda, "is_available", lambda: count > 0)
    patch.setattr(torch.cuda, "device_count", lambda: count)
    patch.setattr(torch.cuda, "set_device", lambda local: None)

"""Small tensors on their way to a GPU, for which no host waits."""

import torch
from torch import Tensor


def sent(value: Tensor, device: torch.device) -> Tensor:
    """The tensor on a device; to a GPU it goes out of page-locked memory, so that the host does not wait for it."""
    if device.type == "cuda" and value.device.type == "cpu" and torch.cuda.is_available():
        value = value.pin_memory()
    return value.to(device, non_blocking=True)

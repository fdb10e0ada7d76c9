"""Memory format of a network and its images: channels last, but for networks whose backward pass that corrupts."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

_FEW_CHANNELS = 8


def needs_plain_memory(network: nn.Module) -> bool:
    """Whether channels-last memory corrupts the heap in this network's backward pass on a CPU.

    In torch (2.15 at least) it does so for a 1x1 convolution with a stride above 1 that reads 8 channels or fewer, as
    FastViT, MobileOne and RepVGG begin with; pytorch/pytorch#136348 is of this family.
    """
    return any(
        isinstance(layer, nn.Conv2d)
        and tuple(layer.kernel_size) == (1, 1)
        and max(layer.stride) > 1
        and layer.in_channels <= _FEW_CHANNELS
        for layer in network.modules()
    )


def in_fast_memory(network: nn.Module) -> nn.Module:
    """The network in channels-last memory, where it may and its layers know such a format."""
    deep = any(value.dim() > 4 for value in network.parameters())  # 3-D convolutions do not
    return network if deep or needs_plain_memory(network) else network.to(memory_format=torch.channels_last)


def for_plain_memory(images: Tensor) -> Tensor:
    """Images for a network that needs plain memory; a GPU takes either."""
    return images.contiguous() if images.device.type == "cpu" else images


@contextmanager
def memory_for_embedding(network: nn.Module, *, device: torch.device, halves: bool) -> Iterator[None]:
    """The network in plain memory while a GPU embeds in float32, which it does slower in channels-last memory.

    Args:
        network: A network on the device; afterwards it is as it was.
        device: The device.
        halves: Whether it embeds in halves, for which channels-last memory is the fast one.
    """
    moved = device.type == "cuda" and not halves and _is_in_fast_memory(network)
    if moved:
        network.to(memory_format=torch.contiguous_format)
    try:
        yield
    finally:
        if moved:
            in_fast_memory(network)


def _is_in_fast_memory(network: nn.Module) -> bool:
    return any(
        value.dim() == 4 and not value.is_contiguous() and value.is_contiguous(memory_format=torch.channels_last)
        for value in network.parameters()
    )

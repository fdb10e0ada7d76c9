"""Memory format of a network and its images: channels last, but for networks whose backward pass that corrupts."""

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

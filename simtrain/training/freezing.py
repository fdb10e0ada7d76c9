"""What stays as it is during training."""

from collections.abc import Iterable

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm


def hold_batch_norm(module: nn.Module) -> None:
    """Put every BatchNorm into evaluation mode: it uses its running statistics and leaves them alone."""
    for part in module.modules():
        if isinstance(part, _BatchNorm):
            part.eval()


def set_trainable(parameters: Iterable[nn.Parameter], *, trainable: bool) -> None:
    """Let gradients reach these parameters, or not; a parameter without gradient is not moved, nor decayed."""
    for parameter in parameters:
        parameter.requires_grad_(trainable)
        if not trainable:
            parameter.grad = None

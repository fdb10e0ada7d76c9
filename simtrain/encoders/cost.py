"""What a network computes for an image: counted, so that choices which rest on it do not depend on a clock."""

# Shapes: S = image_size.

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from simtrain.encoders.base import Encoder

_PRODUCTS = [
    getattr(torch.ops.aten, name) for name in ("convolution", "mm", "addmm", "bmm", "baddbmm")
]  # what a network's layers come to, beside attention
_ATTENTION_ON_CPUS = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu  # which older releases do not count


@dataclass(frozen=True, kw_only=True)
class ForwardCost:
    """Work of one image's forward pass."""

    operations: int
    """Multiplications and additions of all products of matrices, convolutions and attention."""
    outputs: int
    """Numbers that the products and convolutions give."""

    @property
    def operations_per_output(self) -> float:
        """How much is computed for each number that passes through memory; low where convolutions are depthwise."""
        return self.operations / max(self.outputs, 1)


def forward_cost(encoder: Encoder, *, image_size: int) -> ForwardCost:
    """The cost of `encoder(images)` for one image; the encoder and the random numbers stay as they are.

    Args:
        encoder: The encoder, on any device.
        image_size: S of the image.
    """
    operations = _counted(encoder, image_size, {_ATTENTION_ON_CPUS: _attention})
    outputs = _counted(encoder, image_size, dict.fromkeys(_PRODUCTS, _numbers))
    return ForwardCost(
        operations=sum(operations.values()), outputs=sum(outputs.get(product, 0) for product in _PRODUCTS)
    )


def _counted(encoder: Encoder, image_size: int, mapping: dict[Any, Callable[..., int]]) -> dict[Any, int]:
    weight = next(encoder.parameters(), None)
    image = torch.zeros(1, 3, image_size, image_size, device=None if weight is None else weight.device)
    training = encoder.training
    encoder.eval()
    with (
        torch.no_grad(),
        torch.compiler.set_stance("force_eager"),
        _layer_by_layer(),
        FlopCounterMode(display=False, custom_mapping=mapping) as counter,
    ):
        encoder(image)
    encoder.train(training)
    return dict(counter.get_flop_counts().get("Global", {}))


def _attention(
    queries: tuple[int, ...], keys: tuple[int, ...], values: tuple[int, ...], *_arguments: Any, **_settings: Any
) -> int:
    """Operations of softmax(Q·Kᵀ)·V, by the shapes (…, tokens, features) of Q, K and V."""
    return 2 * math.prod(queries[:-1]) * keys[-2] * (queries[-1] + values[-1])


def _numbers(*_arguments: Any, out_shape: Any = None, **_settings: Any) -> int:
    return math.prod(out_shape)


@contextmanager
def _layer_by_layer() -> Iterator[None]:
    """Torch's attention layers by their parts: as a whole, as they run without gradients, they are not counted."""
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)

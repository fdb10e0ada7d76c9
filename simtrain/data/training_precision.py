"""Choice of the arithmetic of training: by card, or by what a network computes on a CPU with bf16 instructions."""

import torch

from simtrain.data.embedding_precision import has_bf16_instructions
from simtrain.encoders.base import Encoder
from simtrain.encoders.cost import forward_cost
from simtrain.training.devices import chosen_precision

_WORTH_IT = 500_000_000
_DENSE = 200
"""Operations for each number that passes through memory, from which bf16 pays in a backward pass."""


def trained_precision(setting: str, encoder: Encoder, *, device: torch.device) -> tuple[str, str | None]:
    """The arithmetic that a setting means for the training of an encoder on a device, and what is to be said of it.

    `auto` is what `chosen_precision` says. On a CPU that has bf16 instructions (AVX512_BF16, AMX) it is `bf16-mixed`
    where a view takes 500 million operations or more, and 200 or more for each number that a layer gives: ResNets,
    transformers, ConvNeXts and RegNets of usual sizes, measured 1.5 to 3 times as fast. Networks of thin depthwise
    convolutions, such as EfficientNets and MobileNets, are no faster in it, or slower. Nothing is timed, so that two
    runs of one configuration train alike on a busy machine too.

    Args:
        setting: `auto`, `32-true`, `bf16-mixed` or `16-mixed`.
        encoder: The encoder.
        device: Where it will be trained.

    Returns:
        The arithmetic in Lightning's words; a line for the user, None: there was no choice.

    Raises:
        ConfigError: for `16-mixed` without a GPU.
    """
    has_choice = setting == "auto" and device.type == "cpu" and has_bf16_instructions()
    if not has_choice or not any(weight.requires_grad for weight in encoder.parameters()):
        return chosen_precision(setting, device=device), None
    cost = forward_cost(encoder, image_size=encoder.training_image_size)
    if cost.operations < _WORTH_IT:
        return "32-true", None
    if cost.operations_per_output < _DENSE:
        return "32-true", "trains in float32: on a processor this network gains nothing by bf16"
    return "bf16-mixed", "trains in bf16, for which this processor has instructions"

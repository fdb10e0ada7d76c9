"""Choice of the arithmetic of training: by card, or by a trial on processors that have bf16 instructions."""

# Shapes: S = image_size.

import copy
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from simtrain.data.embedding_precision import FASTER, TRIED_IMAGES, gain_by_halves, has_bf16_instructions
from simtrain.encoders.base import Encoder
from simtrain.training.devices import chosen_precision


def trained_precision(setting: str, encoder: Encoder, *, device: torch.device) -> tuple[str, str | None]:
    """The arithmetic that a setting means for the training of an encoder on a device, and what is to be said of it.

    `auto` is what `chosen_precision` says; on a CPU that has bf16 instructions (AVX512_BF16, AMX) some steps of both
    are tried, and `bf16-mixed` is taken where its steps are `FASTER`: those of ResNets and transformers mostly are,
    those of EfficientNets are not.

    Args:
        setting: `auto`, `32-true`, `bf16-mixed` or `16-mixed`.
        encoder: The encoder, whose weights, statistics and random numbers stay as they are.
        device: Where it will be trained.

    Returns:
        The arithmetic in Lightning's words; a line for the user, None: there was no choice.

    Raises:
        ConfigError: for `16-mixed` without a GPU.
    """
    tried = setting == "auto" and device.type == "cpu" and has_bf16_instructions()
    if not tried or not any(weight.requires_grad for weight in encoder.parameters()):
        return chosen_precision(setting, device=device), None
    gain = bf16_training_speed(encoder)
    if gain is None:
        return "32-true", None
    if gain < FASTER:
        return "32-true", f"trains in float32: in bf16 it is {gain:.1f} times as fast on this processor"
    return "bf16-mixed", f"trains in bf16: {gain:.1f} times as fast as float32 on this processor"


def bf16_training_speed(encoder: Encoder, *, clock: Callable[[], float] = time.perf_counter) -> float | None:
    """How many times as fast as in float32 an encoder trains in bf16 on this CPU; see `gain_by_halves`.

    A step is forward and backward over a few images of noise, by a copy of the encoder.

    Args:
        encoder: The encoder, on the CPU.
        clock: Seconds that only grow.
    """
    tried = copy.deepcopy(encoder).train()
    size = encoder.training_image_size
    with torch.random.fork_rng(devices=[]):
        images = torch.rand(TRIED_IMAGES, 3, size, size).contiguous(memory_format=torch.channels_last)
        return gain_by_halves(
            lambda halves: training_step(tried, images, halves=torch.bfloat16 if halves else None), clock=clock
        )


@torch.enable_grad()
def training_step(encoder: Encoder, images: Tensor, *, halves: torch.dtype | None) -> None:
    """Forward and backward of an encoder, without an objective and without a change of its weights.

    Args:
        encoder: The encoder, on the images' device; gradients are added to its weights'.
        images: (N, 3, S, S) normalised images.
        halves: What autocast computes in; None: float32.
    """
    with torch.autocast(images.device.type, dtype=halves, enabled=halves is not None):
        embeddings = encoder(images)
    if embeddings.requires_grad:  # else it cannot be trained, which whoever trains it says
        torch.autograd.backward(F.normalize(embeddings.float(), dim=1).sum())

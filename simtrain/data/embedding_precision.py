"""Choice of the arithmetic that images are embedded in, by card, or by what a network computes on a CPU."""

import torch

from simtrain.encoders.arithmetic import Precision
from simtrain.encoders.base import Encoder
from simtrain.encoders.cost import forward_cost
from simtrain.errors import ConfigError
from simtrain.training.ranks import broadcast_from_rank_zero

_BF16_CARDS, _TENSOR_CORES = (8, 0), (7, 0)  # compute capabilities from which a GPU multiplies bf16, and float16, fast
_WORTH_IT = 250_000_000  # operations of an image; with fewer, reading it takes longer than embedding it
_chosen: dict[str, Precision] = {}  # device and network -> what `auto` was in this process, which it stays


def chosen_embedding_precision(setting: str, encoder: Encoder, *, device: torch.device) -> Precision:
    """The arithmetic that a setting means for an encoder on a device; within a process it stays what it was.

    `auto` is bf16 on GPUs of compute capability 8.0 and more, float16 from 7.0 on, and float32 on others and for
    networks without weights. On a CPU it is bf16 where the processor has instructions for it (AVX512_BF16, AMX) and the
    network takes 250 million operations or more for an image, as EfficientNet-Lite0 does from 128 pixels on: measured,
    1.5 to 3 times as fast for networks of every kind. Nothing is timed, so that a run is the same on a busy machine.

    Args:
        setting: `auto`, `32`, `tf32`, `bf16` or `16`.
        encoder: The encoder.
        device: Where it will embed.

    Raises:
        ConfigError: for `16` or `tf32` without a GPU.
    """
    if setting != "auto":
        if device.type != "cuda" and setting in ("16", "tf32"):
            raise ConfigError(
                f"got {setting}, which needs a GPU; allowed without: auto, 32, bf16", argument="precision"
            )
        return _named(setting)
    if next(encoder.parameters(), None) is None or (device.type == "cpu" and not has_bf16_instructions()):
        return "32"
    key = _key(encoder, device)
    if key not in _chosen:
        _chosen[key] = _by_card(device) if device.type == "cuda" else _by_operations(encoder)
    return _chosen[key]


def agree_on_embedding_precision(setting: str, encoder: Encoder, *, device: torch.device) -> Precision:
    """The same, as the first process of a run chooses it for all; every process calls it alike."""
    precision = broadcast_from_rank_zero(chosen_embedding_precision(setting, encoder, device=device))
    if setting == "auto":
        _chosen[_key(encoder, device)] = precision
    return precision


def has_bf16_instructions() -> bool:
    """Whether this machine's processor multiplies bf16 by itself."""
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


def _by_card(device: torch.device) -> Precision:
    capability = torch.cuda.get_device_capability(device)
    return "bf16" if capability >= _BF16_CARDS else "16" if capability >= _TENSOR_CORES else "32"


def _by_operations(encoder: Encoder) -> Precision:
    cost = forward_cost(encoder, image_size=encoder.preprocessing.image_size)
    return "bf16" if cost.operations >= _WORTH_IT else "32"


def _key(encoder: Encoder, device: torch.device) -> str:
    return f"{device} {type(encoder).__name__} {encoder.preprocessing.image_size} {encoder}"


def _named(setting: str) -> Precision:
    known: tuple[Precision, ...] = ("32", "tf32", "bf16", "16")
    for precision in known:
        if precision == setting:
            return precision
    raise ValueError(f"precision is '{setting}'; allowed: auto, {', '.join(known)}")

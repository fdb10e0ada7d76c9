"""Choice of the arithmetic that images are embedded in, by card, or by a trial on processors with bf16 instructions."""

# Shapes: S = image_size.

import time
from collections.abc import Callable

import torch

from simtrain.encoders.arithmetic import Precision
from simtrain.encoders.base import Encoder
from simtrain.errors import ConfigError
from simtrain.training.ranks import broadcast_from_rank_zero

FASTER = 1.3
"""How many times as fast as float32 a CPU must embed in bf16 for `auto` to take it."""

TRIED_IMAGES = 8

_BF16_CARDS, _TENSOR_CORES = (8, 0), (7, 0)  # compute capabilities from which a GPU multiplies bf16, and float16, fast
_TRIES = 3
_WORTH_A_CHOICE = 0.02  # seconds
_chosen: dict[str, Precision] = {}  # device and network -> what `auto` was in this process, which it stays


def chosen_embedding_precision(setting: str, encoder: Encoder, *, device: torch.device) -> Precision:
    """The arithmetic that a setting means for an encoder on a device; within a process it stays what it was.

    `auto` is bf16 on GPUs of compute capability 8.0 and more, float16 from 7.0 on, and float32 on others and for
    networks without weights. On a CPU that has bf16 instructions (AVX512_BF16, AMX) both are tried on a few images, and
    bf16 is taken where it is `FASTER`; on other CPUs nothing is tried.

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
        _chosen[key] = _by_card(device) if device.type == "cuda" else _by_trial(encoder.to(device))
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


def bf16_speed(encoder: Encoder, *, clock: Callable[[], float] = time.perf_counter) -> float | None:
    """How many times as fast as in float32 an encoder embeds noise in bf16 on this CPU; see `gain_by_halves`.

    Args:
        encoder: The encoder, on the CPU.
        clock: Seconds that only grow.
    """
    size = encoder.preprocessing.image_size
    noise = torch.randint(0, 256, (TRIED_IMAGES, size, size, 3), dtype=torch.uint8, generator=torch.Generator())
    training = encoder.training
    encoder.eval()
    gain = gain_by_halves(lambda halves: encoder.embed_pixels(noise, precision="bf16" if halves else "32"), clock=clock)
    encoder.train(training)
    return gain


def gain_by_halves(computed: Callable[[bool], object], *, clock: Callable[[], float]) -> float | None:
    """How many times as fast as in float32 something is computed in halves, each at its best of three.

    Args:
        computed: Computes `TRIED_IMAGES` images in halves (True), or in float32.
        clock: Seconds that only grow.

    Returns:
        The gain. None where float32 takes less than 20 ms: there is nothing to win, as reading so many images takes as
        long, and so short a time is not measured the same twice.
    """
    seconds = {False: float("inf"), True: float("inf")}
    for number in range(1 + _TRIES):
        for halves in seconds:
            began = clock()
            computed(halves)
            if number:  # the first time also makes buffers and kernels
                seconds[halves] = min(seconds[halves], clock() - began)
    return None if seconds[False] < _WORTH_A_CHOICE else seconds[False] / max(seconds[True], 1e-9)


def _by_card(device: torch.device) -> Precision:
    capability = torch.cuda.get_device_capability(device)
    return "bf16" if capability >= _BF16_CARDS else "16" if capability >= _TENSOR_CORES else "32"


def _by_trial(encoder: Encoder) -> Precision:
    gain = bf16_speed(encoder)
    return "bf16" if gain is not None and gain >= FASTER else "32"


def _key(encoder: Encoder, device: torch.device) -> str:
    return f"{device} {type(encoder).__name__} {encoder.preprocessing.image_size} {encoder}"


def _named(setting: str) -> Precision:
    known: tuple[Precision, ...] = ("32", "tf32", "bf16", "16")
    for precision in known:
        if precision == setting:
            return precision
    raise ValueError(f"precision is '{setting}'; allowed: auto, {', '.join(known)}")

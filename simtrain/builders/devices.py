"""Devices and precision that a run's configuration asks for."""

from collections.abc import Sequence

import torch

from simtrain.config import RunConfig
from simtrain.data.embedding import inference_device
from simtrain.data.embedding_precision import agree_on_embedding_precision, chosen_embedding_precision
from simtrain.data.training_precision import trained_precision
from simtrain.encoders.arithmetic import Precision
from simtrain.encoders.base import Encoder
from simtrain.errors import error_path
from simtrain.training.devices import (
    chosen_precision,
    embedding_cards,
)
from simtrain.training.rank_zero import on_rank_zero
from simtrain.training.ranks import launched_ranks


def run_device(config: RunConfig) -> torch.device:
    """The device that `trainer.accelerator` means here.

    Raises:
        ConfigError: for `gpu` where torch sees none.
    """
    with error_path("trainer"):
        return inference_device(config.trainer.accelerator)


def check_precision(config: RunConfig) -> None:
    """Refuse an arithmetic of `trainer.precision` that the device does not have, before anything is opened.

    Raises:
        ConfigError: for `16-mixed` without a GPU.
    """
    with error_path("trainer"):
        chosen_precision(config.trainer.precision, device=inference_device(config.trainer.accelerator))


def agreed_training_precision(config: RunConfig, encoder: Encoder) -> tuple[str, str | None]:
    """What `trained_precision` gives for a run, as its first process chooses it for all; each calls it alike."""
    trainer = config.trainer
    if trainer.freeze_encoder:
        return chosen_precision(trainer.precision, device=run_device(config)), None
    return on_rank_zero(lambda: trained_precision(trainer.precision, encoder, device=run_device(config)))


def embedding_precision(config: RunConfig, encoder: Encoder) -> Precision:
    """The arithmetic that `evaluation.precision` means for an encoder on that device.

    Raises:
        ConfigError: for `16` or `tf32` without a GPU.
    """
    with error_path("evaluation"):
        return chosen_embedding_precision(config.evaluation.precision, encoder, device=run_device(config))


def agreed_embedding_precision(config: RunConfig, encoder: Encoder) -> Precision:
    """The same, as the first process of a run chooses it for all; every process calls it alike."""
    with error_path("evaluation"):
        return agree_on_embedding_precision(config.evaluation.precision, encoder, device=run_device(config))


def kept_precision(config: RunConfig) -> Precision | None:
    """The arithmetic of embeddings that a bundle keeps; None: as `evaluation.precision` says.

    On a CPU its `auto` is float32 for them: queries and items that are added later are embedded in float32 too.
    """
    on_cpu = run_device(config).type == "cpu"
    return "32" if config.evaluation.precision == "auto" and on_cpu else None


def run_embedding_cards(config: RunConfig) -> Sequence[int]:
    """Numbers of the devices that embed images together outside of training; one in each of several processes."""
    if launched_ranks() is not None:
        return [torch.cuda.current_device() if run_device(config).type == "cuda" else 0]
    return embedding_cards(config.trainer.devices, accelerator=config.trainer.accelerator)


def run_cards(config: RunConfig) -> list[int] | None:
    """Numbers of the GPUs that `trainer.devices` lists; None: it does not."""
    return config.trainer.devices if isinstance(config.trainer.devices, list) else None

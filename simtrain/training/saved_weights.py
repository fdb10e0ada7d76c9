"""Weights out of a run's checkpoint."""

from pathlib import Path

import torch
from torch import nn

from simtrain.errors import CheckpointError
from simtrain.training.file_names import BEST

_LEARNING, _AVERAGED = "encoder.", "averaged.encoder."


def read_module_state(path: Path) -> dict[str, torch.Tensor]:
    """The module's tensors in a run's checkpoint, on the CPU; nothing in the file is executed.

    Raises:
        CheckpointError: if it is not there, or is not a checkpoint of simtrain.
    """
    if not path.is_file():
        raise CheckpointError(f"{path}: no such checkpoint")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        state = {name: value for name, value in content["state_dict"].items() if isinstance(name, str)}
    except Exception as error:  # torch raises whatever the bytes make its unpickler trip over
        raise CheckpointError(f"{path}: not a checkpoint of simtrain fit ({type(error).__name__})") from None
    return state


def take_encoder_weights(encoder: nn.Module, run_folder: Path) -> None:
    """Give an encoder the best weights of a run: the averaged ones where the run averages.

    Raises:
        CheckpointError: if the checkpoint is missing, broken, or of another encoder.
    """
    path = run_folder / BEST
    state = read_module_state(path)
    prefix = _AVERAGED if any(name.startswith(_AVERAGED) for name in state) else _LEARNING
    tensors = {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}
    try:
        encoder.load_state_dict(tensors)
    except (RuntimeError, TypeError, AttributeError, KeyError, ValueError) as error:  # also for what is no tensor
        reason = str(error).splitlines()[-1].strip()
        raise CheckpointError(f"{path}: does not fit the run's encoder: {reason}") from None

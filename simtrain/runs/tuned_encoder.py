"""Fine-tuned encoder of a run, interpolated with its initial weights where asked for."""

from collections.abc import Callable
from pathlib import Path

from simtrain.builders.encoder import build_encoder
from simtrain.builders.saved_encoder import load_initial_encoder, saved_encoder_config
from simtrain.config import RunConfig
from simtrain.encoders.base import Encoder
from simtrain.errors import CheckpointError, SimtrainError, error_path
from simtrain.runs.interpolation_record import chosen_alpha, stored_statistics
from simtrain.training.file_names import BEST
from simtrain.training.saved_weights import take_encoder_weights
from simtrain.training.weight_interpolation import mixed_weights, moved_norms

_ATTEMPTS = 5


def of_one_checkpoint(run_folder: Path, load: Callable[[], Encoder]) -> Encoder:
    """What `load` makes of a run's `best.ckpt`; it starts over where training has replaced the file meanwhile.

    Args:
        run_folder: The run's folder.
        load: Reads the checkpoint, and what belongs to it, such as an alpha or a whitening.

    Raises:
        CheckpointError: of `load`, or if the checkpoint is replaced again and again.
    """
    path = run_folder / BEST
    for _ in range(_ATTEMPTS):
        before = _stamp(path)
        try:
            encoder = load()
        except SimtrainError:
            if _stamp(path) == before:
                raise
        else:
            if _stamp(path) == before:
                return encoder
    raise CheckpointError(f"{path}: is replaced again and again; try again when its training has ended")


def tuned_encoder(config: RunConfig, run_folder: Path, *, alpha: float | None) -> Encoder:
    """The encoder of a run with the weights of its best epoch: averaged where the run averages, low-rank factors added.

    Not whitened; see `runs.whitening.run_encoder`.

    Args:
        config: The run's configuration.
        run_folder: The run's folder.
        alpha: Share of the fine-tuned weights when mixed with the initial ones, 0 to 1; None: the share that
            `interpolate` chose, or 1 where it was never run.

    Raises:
        CheckpointError: if the checkpoint is missing, broken, or of another encoder; for a mix, if the run does not
            have what it takes.
        ValueError: for an alpha out of range.
    """
    share = chosen_alpha(run_folder) if alpha is None else alpha
    with error_path("encoder"):
        encoder = build_encoder(saved_encoder_config(config.encoder, run_folder), load=False)
    take_encoder_weights(encoder, run_folder)
    encoder = encoder.merged().eval()
    if share == 1:
        return encoder
    start, tuned = load_initial_encoder(config.encoder, run_folder).state_dict(), encoder.state_dict()
    try:
        weights = mixed_weights(start, tuned, alpha=share)
    except CheckpointError as error:
        raise CheckpointError(f"{run_folder}: {error}") from None
    if share > 0 and moved_norms(encoder, start, tuned):
        weights.update(stored_statistics(run_folder, alpha=share))
    encoder.load_state_dict(weights)
    return encoder


def _stamp(path: Path) -> tuple[int, int, int] | None:
    """What changes when another checkpoint takes the place, which is by a rename."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_mtime_ns

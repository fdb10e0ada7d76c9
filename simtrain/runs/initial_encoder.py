"""Initial encoder of a run, and the image normalisation that its weights file decides."""

from pathlib import Path

from simtrain.builders.encoder import build_encoder
from simtrain.builders.saved_encoder import saved_encoder_config
from simtrain.builders.weights_file import WeightsFile, inspect_weights_file, normalisation_of, with_normalisation
from simtrain.config import ResNetConfig, RunConfig, TimmConfig
from simtrain.config.encoder import Normalisation
from simtrain.console import Console
from simtrain.encoders.base import Encoder
from simtrain.errors import CheckpointError, error_path
from simtrain.runs.interpolation_record import chosen_alpha
from simtrain.runs.run import open_run
from simtrain.runs.tuned_encoder import tuned_encoder


def settle_normalisation(
    config: RunConfig, folder: Path, *, resume: bool, console: Console
) -> tuple[RunConfig, WeightsFile | None]:
    """Decide, once for the whole life of a run, the normalisation of its encoder's images.

    A resumed run keeps its normalisation, and one that starts from another run's weights takes that one's; else the
    weights file decides, if there is one.

    Args:
        config: The run's configuration.
        folder: The run's folder, which exists for a resumed run.
        resume: Whether the run is resumed.
        console: Shows each line.

    Returns:
        The configuration with its normalisation filled in, and the weights file, if one was read.

    Raises:
        CheckpointError: for a weights file that cannot be read, or a run that does not exist.
    """
    if resume:
        return with_normalisation_of(config, open_run(str(folder), checkpoints=folder.parent).config), None
    if config.init_from is not None:
        source = open_run(config.init_from, checkpoints=Path(config.checkpoints).expanduser())
        config, used = with_normalisation_of(config, source.config), normalisation_of(source.config.encoder)
        own = normalisation_of(config.encoder)
        if used is not None and own is not None and own != used:
            console.line(
                f"warning: init_from: {source.folder} was trained with normalisation: {used}, this run sets {own}"
            )
        return config, None
    weights = inspect_weights_file(config.encoder)
    for line in weights.lines() if weights is not None else ():
        console.line(line)
    return _with(config, weights.normalisation if weights is not None else None), weights


def with_normalisation_of(config: RunConfig, as_in: RunConfig) -> RunConfig:
    """The configuration with the normalisation of another run filled in, unless it sets its own.

    Runs of before this was recorded were all normalised as if there were no weights file. A frozen encoder without an
    embedding size takes that of the other run too.
    """
    return _with(_with_embedding_size(config, as_in), normalisation_of(as_in.encoder))


def build_initial_encoder(config: RunConfig, folder: Path, *, begins: bool, console: Console) -> Encoder:
    """The initial encoder of a run; for a resumed run its architecture, to be filled from its checkpoint.

    Args:
        config: The run's configuration, as `settle_normalisation` returns it.
        folder: The run's folder.
        begins: Whether the run is new: it has no checkpoint yet.
        console: Shows each line.

    Raises:
        SimtrainError: for weights that are not available or do not fit.
    """
    own = config.encoder if begins else saved_encoder_config(config.encoder, folder)
    with error_path("encoder"):
        encoder = build_encoder(own, load=begins and config.init_from is None)
    if config.init_from is None:
        return encoder
    if begins:
        source = open_run(config.init_from, checkpoints=Path(config.checkpoints).expanduser())
        alpha = chosen_alpha(source.folder)
        if alpha != 1:
            console.line(f"init_from: {source.folder}: alpha {alpha:g}, chosen by simtrain interpolate")
        try:
            encoder.load_plain(tuned_encoder(source.config, source.folder, alpha=None).state_dict())
        except RuntimeError as error:
            reason = str(error).splitlines()[-1].strip()[:160]
            raise CheckpointError(f"init_from: {source.folder} has another encoder: {reason}") from None
    return encoder


def _with(config: RunConfig, normalisation: Normalisation | None) -> RunConfig:
    return config.model_copy(update={"encoder": with_normalisation(config.encoder, normalisation=normalisation)})


def _with_embedding_size(config: RunConfig, as_in: RunConfig) -> RunConfig:
    """A frozen encoder whose layer has no size of its own takes that of another run's."""
    own, other = config.encoder, as_in.encoder
    if not config.trainer.freeze_encoder or not isinstance(own, ResNetConfig | TimmConfig):
        return config
    if own.embedding_size is not None or not isinstance(other, ResNetConfig | TimmConfig):
        return config
    return config.model_copy(update={"encoder": own.model_copy(update={"embedding_size": other.embedding_size})})

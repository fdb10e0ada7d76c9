"""Saving and reloading of the initial encoder in the run folder.

The weights and models that a configuration names may be gone, or be others, when a run goes on, is mixed with its start
or is exported.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from safetensors import SafetensorError
from safetensors.torch import load_file, save

from simtrain.builders.encoder import build_encoder, plain_config
from simtrain.config import ClipConfig, EncoderConfig, NamedCode, TwoTowersConfig, parse_encoder
from simtrain.encoders.base import Encoder
from simtrain.encoders.preprocessing import Preprocessing
from simtrain.encoders.text import FolderEncoder, TextFolderEncoder
from simtrain.errors import CheckpointError, error_path, system_reason
from simtrain.phrases import shortened

_FOLDER = "encoder"
_WEIGHTS_FILE = "weights.safetensors"
_MODULES_FILE = "modules.json"  # by which sentence-transformers knows its folders
_TEXT_FOLDER = "text_tower"


def save_initial_encoder(encoder: Encoder, run_folder: Path) -> None:
    """Put the encoder as it is, low-rank factors folded in, into a run's folder: `encoder/`.

    An encoder whose library has a folder format of its own is written in it, any other as `weights.safetensors`; a
    text tower that is a model of its own goes beside that, as `text_tower/`.

    Raises:
        CheckpointError: if it cannot be written.
    """
    folder, plain = run_folder / _FOLDER, encoder.merged()
    try:
        folder.mkdir(exist_ok=True)
        if isinstance(plain, FolderEncoder):
            cast(FolderEncoder, plain).save_folder(folder)
        else:
            weights = {name: value.detach().cpu().contiguous() for name, value in plain.state_dict().items()}
            (folder / _WEIGHTS_FILE).write_bytes(save(weights))
        if isinstance(plain, TextFolderEncoder) and plain.has_text_folder:
            plain.save_text_folder(folder / _TEXT_FOLDER)
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{folder}: cannot be written: {system_reason(error)}") from None


def saved_encoder_config(config: EncoderConfig, run_folder: Path) -> EncoderConfig:
    """The configuration of a run's encoder that names what `save_initial_encoder` put into its folder, where it did."""
    folder = run_folder / _FOLDER
    saved: dict[str, str] = {}
    if isinstance(config, ClipConfig) and folder.is_dir():
        saved["model"] = str(folder)
    if (folder / _TEXT_FOLDER).is_dir():
        match config:
            case ClipConfig(text_model=str()):
                saved["text_model"] = str(folder / _TEXT_FOLDER)
            case TwoTowersConfig():
                saved["text"] = str(folder / _TEXT_FOLDER)
    return config.model_copy(update=saved)


def load_initial_encoder(config: EncoderConfig, run_folder: Path) -> Encoder:
    """The encoder as it was before the run's first step, without low-rank factors, from the run's folder alone.

    Args:
        config: Configuration of the run's encoder.
        run_folder: Run folder that `save_initial_encoder` wrote to.

    Raises:
        CheckpointError: if it is not there, or of another encoder.
    """
    folder = run_folder / _FOLDER
    path = folder / (_MODULES_FILE if isinstance(config, ClipConfig) else _WEIGHTS_FILE)
    if not path.is_file():
        raise CheckpointError(f"{path}: missing: this run has no copy of its initial weights; train it again")
    with error_path("encoder"):
        encoder = build_encoder(plain_config(saved_encoder_config(config, run_folder)), load=False)
    if not isinstance(encoder, FolderEncoder):
        try:
            encoder.load_state_dict(load_file(path))
        except (OSError, SafetensorError, RuntimeError) as error:
            raise CheckpointError(f"{path}: not the weights of this encoder: {_reason(error)}") from None
    return encoder


def encoder_without_weights(
    config: Mapping[str, Any],
    preprocessing: Preprocessing,
    *,
    file: str = "manifest.json",
    like: EncoderConfig | None = None,
) -> Encoder:
    """The encoder that a bundle's manifest describes, for weights that the bundle holds.

    Args:
        config: The encoder's section.
        preprocessing: Preparation of images that the bundle was made with.
        file: The manifest, for messages.
        like: A section in memory whose permission and object hold for the same code; None: none.

    Raises:
        ConfigError: for a section that does not describe an encoder.
        CodeNotAllowedError: if the section names code, and the user has not said that it may be imported.
    """
    section = parse_encoder(config, where=file)
    if isinstance(section, NamedCode):
        section = section.like(like)
    with error_path("encoder"):
        encoder = build_encoder(section, load=False)
    encoder.preprocessing = preprocessing
    return encoder


def _reason(error: Exception) -> str:
    """The last line of an exception's message: torch begins with what it was doing."""
    return shortened((str(error).strip().splitlines() or [type(error).__name__])[-1], to=160)

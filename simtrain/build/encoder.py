"""From configuration to encoders."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, assert_never, cast

from pydantic import TypeAdapter

from simtrain.config import (
    ClipConfig,
    EncoderConfig,
    HistogramConfig,
    PixelsConfig,
    ResNetConfig,
    TimmConfig,
)
from simtrain.encoders.base import Encoder
from simtrain.encoders.baseline import HistogramEncoder, PixelsEncoder
from simtrain.encoders.lora import LoraSettings, add_factors, check_factors
from simtrain.encoders.preprocessing import Preprocessing
from simtrain.encoders.text import FolderEncoder
from simtrain.encoders.weights import load_weights, locate, names_a_file
from simtrain.errors import ConfigError, SimtrainError

if TYPE_CHECKING:
    from simtrain.encoders.clip import ClipEncoder
    from simtrain.encoders.resnet import ResNetEncoder
    from simtrain.encoders.timm import TimmEncoder

KEPT_FOLDER = "encoder"
"""In a run's folder, for `keep_encoder`."""


def build_encoder(config: EncoderConfig, *, load: bool) -> Encoder:
    """The encoder, with its pretrained weights, or with random ones where a checkpoint will follow.

    Args:
        config: Which encoder.
        load: Whether `weights` are fetched.

    Raises:
        ConfigError: for a model that does not exist, or has no place for low-rank factors.
        CheckpointError: for weights that cannot be had or do not fit.
    """
    match config:
        case ResNetConfig():
            return _with_factors(_resnet(config, load=load), config, check=load)
        case TimmConfig():
            return _with_factors(_timm(config, load=load), config, check=load)
        case ClipConfig():
            return _clip(config, check=load)
        case PixelsConfig():
            return PixelsEncoder(image_size=config.image_size, resize=config.resize)
        case HistogramConfig():
            return HistogramEncoder(
                space=config.space, bins=config.bins, image_size=config.image_size, resize=config.resize
            )
        case _:
            assert_never(config)


def plain_config(config: EncoderConfig) -> EncoderConfig:
    """Describes the encoder that `merged` gives: without low-rank factors."""
    if isinstance(config, ResNetConfig | TimmConfig | ClipConfig):
        return config.model_copy(update={"lora": None})
    return config


def keep_encoder(encoder: Encoder, run_folder: Path) -> None:
    """Put into a run's folder what its encoder cannot be built again without: the opened model of a `clip`.

    The model that the configuration names may be gone, or another, when the run goes on or is exported.
    """
    if isinstance(encoder, FolderEncoder):
        cast(FolderEncoder, encoder.merged()).save_folder(run_folder / KEPT_FOLDER)


def kept_config(config: EncoderConfig, run_folder: Path) -> EncoderConfig:
    """The configuration of a run's encoder that names what `keep_encoder` put into its folder, if it did."""
    kept = run_folder / KEPT_FOLDER
    return (
        config.model_copy(update={"model": str(kept)}) if isinstance(config, ClipConfig) and kept.is_dir() else config
    )


def empty_encoder(config: Mapping[str, Any], preprocessing: Preprocessing) -> Encoder:
    """The encoder that a bundle's manifest describes, for weights that the bundle holds."""
    schema: TypeAdapter[EncoderConfig] = TypeAdapter(EncoderConfig)
    encoder = build_encoder(schema.validate_python(config), load=False)
    encoder.preprocessing = preprocessing
    return encoder


def _resnet(config: ResNetConfig, *, load: bool) -> "ResNetEncoder":
    from simtrain.encoders.resnet import ResNetEncoder, resnet_network, resnet_preprocessing

    path = _weights_file(config, load=load)
    by_name = config.weights if load and path is None and config.weights != "none" else None
    network, feature_size = resnet_network(config.model, weights=by_name)
    if path is not None:
        load_weights(network, path, match=config.weights_match)
    return ResNetEncoder(
        network=network,
        feature_size=feature_size,
        embedding_size=config.embedding_size,
        preprocessing=resnet_preprocessing(image_size=config.image_size, resize=config.resize),
    )


def _timm(config: TimmConfig, *, load: bool) -> "TimmEncoder":
    try:
        from simtrain.encoders.timm import TimmEncoder, timm_network, timm_preprocessing
    except ModuleNotFoundError as error:
        if error.name != "timm":
            raise
        raise SimtrainError("encoder.kind: 'timm' needs the extra: pip install 'simtrain[timm]'") from None

    path = _weights_file(config, load=load)
    if not names_a_file(config.weights) and config.weights not in ("hub", "none"):
        raise ConfigError(
            f"encoder.weights: '{config.weights}' is not a file; allowed: hub, none, a file, package:MODULE/FILE"
        )
    network = timm_network(config.model, from_hub=load and config.weights == "hub", image_size=config.image_size)
    if path is not None:
        load_weights(network, path, match=config.weights_match)
    return TimmEncoder(
        network=network,
        embedding_size=config.embedding_size,
        preprocessing=timm_preprocessing(network, image_size=config.image_size, resize=config.resize),
    )


def _clip(config: ClipConfig, *, check: bool) -> "ClipEncoder":
    """Its weights come with its architecture, from one folder or name, so that they are read in any case."""
    from simtrain.encoders.clip import ClipEncoder, attention_targets, image_processor, open_clip_model
    from simtrain.encoders.clip_processor import clip_preprocessing

    model = open_clip_model(config.model)
    encoder = ClipEncoder(
        preprocessing=clip_preprocessing(
            image_processor(model), model=config.model, image_size=config.image_size, resize=config.resize
        ),
        model=model,
        train_text=config.train_text,
        freeze_patch_embedding=config.freeze_patch_embedding,
    )
    if config.lora is not None:
        settings = config.lora.model_dump()
        targets = settings.pop("targets") or attention_targets(text=config.train_text)
        add_factors(encoder.towers, settings=LoraSettings(**settings, targets=targets), model=config.model)
        if check and not config.train_text:
            check_factors(encoder, image_size=encoder.preprocessing.image_size, model=config.model)
    return encoder


def _weights_file(config: ResNetConfig | TimmConfig, *, load: bool) -> Path | None:
    return locate(config.weights) if load and names_a_file(config.weights) else None


def _with_factors(encoder: "ResNetEncoder | TimmEncoder", config: ResNetConfig | TimmConfig, *, check: bool) -> Encoder:
    if config.lora is not None:
        add_factors(encoder.network, settings=LoraSettings(**config.lora.model_dump()), model=config.model)
        if check:
            check_factors(encoder.network, image_size=encoder.preprocessing.image_size, model=config.model)
    return encoder

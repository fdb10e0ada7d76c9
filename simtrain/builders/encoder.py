"""Builders of encoders."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, assert_never

from simtrain.builders.named_code import build_own_encoder
from simtrain.builders.weights_file import read_checkpoint
from simtrain.config import (
    ClipConfig,
    EncoderConfig,
    EncoderWhiteningConfig,
    HistogramConfig,
    PixelsConfig,
    PythonEncoderConfig,
    ResNetConfig,
    TimmConfig,
    TwoTowersConfig,
)
from simtrain.encoders.base import Encoder
from simtrain.encoders.baseline import HistogramEncoder, PixelsEncoder
from simtrain.encoders.lora import LoraSettings, add_factors, check_factors
from simtrain.encoders.preprocessing import Preprocessing
from simtrain.encoders.weights import load_weights, locate, names_a_file
from simtrain.errors import ConfigError, SimtrainError, error_path

if TYPE_CHECKING:
    from simtrain.encoders.clip import ClipEncoder
    from simtrain.encoders.resnet import ResNetEncoder
    from simtrain.encoders.timm import TimmEncoder
    from simtrain.encoders.two_towers import TwoTowersEncoder


def build_encoder(config: EncoderConfig, *, load: bool) -> Encoder:
    """The encoder, with its pretrained weights, or with random ones where a checkpoint will follow.

    Args:
        config: Configuration of the encoder.
        load: Whether `weights` are fetched.

    Raises:
        ConfigError: for a model that does not exist, or has no place for low-rank factors; it names the key within
            `config`, and the caller's `error_path` says where that stands.
        CheckpointError: for weights that are not available or do not fit; it names its argument too.
    """
    encoder = _network(config, load=load)
    encoder.preprocessing = _embedding_preprocessing(encoder.preprocessing, config)
    whitening = whitening_of(config)
    if whitening is not None and (whitening.dimensions or 0) > encoder.embedding_size:
        raise ConfigError(
            f"whitening.dimensions: {whitening.dimensions} of embeddings of {encoder.embedding_size}; allowed: 2 to "
            f"{encoder.embedding_size}"
        )
    return encoder


def whitening_of(config: EncoderConfig) -> EncoderWhiteningConfig | None:
    """Whitening of an encoder's embeddings; `build_encoder` leaves it out, for it is learned from images."""
    return None if isinstance(config, TwoTowersConfig) else config.whitening


def _network(config: EncoderConfig, *, load: bool) -> Encoder:
    match config:
        case ResNetConfig():
            return _with_factors(_resnet(config, load=load), config, check=load)
        case TimmConfig():
            return _with_factors(_timm(config, load=load), config, check=load)
        case ClipConfig():
            return _clip(config, check=load)
        case TwoTowersConfig():
            return _two_towers(config, load=load)
        case PixelsConfig():
            return PixelsEncoder(image_size=config.image_size, resize=config.resize)
        case HistogramConfig():
            return HistogramEncoder(
                space=config.space, bins=config.bins, image_size=config.image_size, resize=config.resize
            )
        case PythonEncoderConfig():
            return build_own_encoder(config)
        case _:
            assert_never(config)


def _embedding_preprocessing(training: Preprocessing, config: EncoderConfig) -> Preprocessing:
    """How images are prepared to be embedded, where training views are prepared as `training` says."""
    if isinstance(config, TwoTowersConfig):  # its image encoder's own settings are in `training` already
        return training
    size: int | None = getattr(config, "evaluation_image_size", None)  # some kinds embed at the size they train at
    return replace(training, image_size=size or training.image_size, flip_averaging=config.flip_averaging)


def plain_config(config: EncoderConfig) -> EncoderConfig:
    """Describes the encoder that `merged` gives: without low-rank factors."""
    match config:
        case ResNetConfig() | TimmConfig() | ClipConfig():
            return config.model_copy(update={"lora": None})
        case TwoTowersConfig():
            return config.model_copy(update={"image": config.image.model_copy(update={"lora": None})})
        case _:
            return config


def _resnet(config: ResNetConfig, *, load: bool) -> "ResNetEncoder":
    from simtrain.encoders.resnet import (
        NORMALISATIONS,
        ResNetEncoder,
        pool_resnet,
        resnet_network,
        resnet_preprocessing,
    )
    from simtrain.encoders.simclr_checkpoint import fill_resnet

    path = _weights_file(config, load=load)
    by_name = config.weights if load and path is None and config.weights != "none" else None
    network, feature_size = resnet_network(config.model, weights=by_name)
    normalisation = config.normalisation
    if path is not None and config.weights_match == "order":
        load_weights(network, path, match="order")
    elif path is not None:
        checkpoint = read_checkpoint(path)
        fill_resnet(network, checkpoint, model=config.model, path=path)
        normalisation = normalisation or checkpoint.normalisation
    pool_resnet(network, config.pooling)
    mean, std = NORMALISATIONS[normalisation or "imagenet"]
    preprocessing = resnet_preprocessing(image_size=config.image_size, resize=config.resize)
    return ResNetEncoder(
        network=network,
        feature_size=feature_size,
        embedding_size=config.embedding_size,
        preprocessing=replace(preprocessing, mean=mean, std=std),
    )


def _timm(config: TimmConfig, *, load: bool) -> "TimmEncoder":
    try:
        from simtrain.encoders.timm import TimmEncoder, pool_timm, timm_network, timm_preprocessing
    except ModuleNotFoundError as error:
        if error.name != "timm":
            raise
        raise SimtrainError("'timm' needs the extra: pip install 'simtrain[timm]'", argument="kind") from None

    _refuse_addresses(config.model)
    path = _weights_file(config, load=load)
    if not names_a_file(config.weights) and config.weights not in ("hub", "none"):
        raise ConfigError(
            f"'{config.weights}' is not a file; allowed: hub, none, a file, package:MODULE/FILE", argument="weights"
        )
    network = timm_network(
        config.model,
        from_hub=load and config.weights == "hub",
        image_size=config.image_size,
        evaluation_image_size=config.evaluation_image_size,
    )
    pool_timm(network, config.pooling, model=config.model)
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
    from simtrain.encoders.text_tower import open_text_tower

    with error_path("", names={"name": "model"}):
        model = open_clip_model(config.model)
    with error_path("", names={"name": "text_model"}):
        text_tower = open_text_tower(config.text_model) if config.text_model is not None else None
    with error_path("", names={"text_tower": "text_model"}):
        encoder = ClipEncoder(
            preprocessing=clip_preprocessing(
                image_processor(model),
                model=config.model,
                image_size=config.image_size,
                evaluation_image_size=config.evaluation_image_size,
                resize=config.resize,
            ),
            model=model,
            train_text=config.train_text,
            text_tower=text_tower,
            freeze_patch_embedding=config.freeze_patch_embedding,
        )
    if config.lora is not None:
        settings = config.lora.model_dump()
        targets = settings.pop("targets") or attention_targets(text=config.train_text)
        with error_path("lora"):
            add_factors(encoder.towers, settings=LoraSettings(**settings, targets=targets), model=config.model)
            if check and not config.train_text:
                check_factors(encoder, image_size=encoder.preprocessing.image_size, model=config.model)
    return encoder


def _two_towers(config: TwoTowersConfig, *, load: bool) -> "TwoTowersEncoder":
    """The text model is read in any case: its weights are in no checkpoint."""
    from simtrain.encoders.text_tower import open_text_tower
    from simtrain.encoders.two_towers import TwoTowersEncoder

    with error_path("", names={"name": "text"}):
        text_tower = open_text_tower(config.text)
    if config.image.embedding_size not in (None, text_tower.size):
        raise ConfigError(
            f"the texts of {config.text} have {text_tower.size} dimensions, not {config.image.embedding_size}; "
            "leave it out",
            argument="image.embedding_size",
        )
    with error_path("image"):
        image = build_encoder(config.image.model_copy(update={"embedding_size": text_tower.size}), load=load)
    return TwoTowersEncoder(image=image, text_tower=text_tower, scale=config.scale)


def _refuse_addresses(model: str) -> None:
    """Refuse what `timm.create_model` reads as a place, which a configuration writes in two keys."""
    place, colon, name = model.partition(":")
    if not colon:
        return
    if place == "local-dir":
        weights = f"encoder.weights={Path(name) / 'model.safetensors'}"
        how = f"give its architecture and its file: --set encoder.model=NAME --set {weights}"
    else:
        how = f"give its architecture: --set encoder.model={name.rpartition('/')[2]} --set encoder.weights=hub"
    raise ConfigError(f"'{model}' is a place and no model of timm; {how}", argument="model")


def _weights_file(config: ResNetConfig | TimmConfig, *, load: bool) -> Path | None:
    return locate(config.weights) if load and names_a_file(config.weights) else None


def _with_factors(encoder: "ResNetEncoder | TimmEncoder", config: ResNetConfig | TimmConfig, *, check: bool) -> Encoder:
    if config.lora is not None:
        with error_path("lora"):
            add_factors(encoder.network, settings=LoraSettings(**config.lora.model_dump()), model=config.model)
            if check:
                check_factors(encoder.network, image_size=encoder.preprocessing.image_size, model=config.model)
    return encoder

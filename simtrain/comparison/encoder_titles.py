"""Names of encoders as a person says them, such as "untouched EfficientNet-Lite0, 224 px, whitened"."""

import re
from dataclasses import dataclass
from pathlib import PurePosixPath

from simtrain.config import (
    ClipConfig,
    EncoderConfig,
    HistogramConfig,
    PixelsConfig,
    PythonEncoderConfig,
    ResNetConfig,
    TimmConfig,
    TwoTowersConfig,
)
from simtrain.encoders.weights import PACKAGE_PREFIX, names_a_file

_FAMILIES = (
    (re.compile(r"(?:tf_)?efficientnet_(lite\d|b\d)(?:\..+)?"), "EfficientNet-{}"),
    (re.compile(r"resnet(\d+)(?:\..+)?"), "ResNet-{}"),
    (re.compile(r"clip-ViT-(.+)"), "CLIP ViT-{}"),
)


@dataclass(frozen=True, kw_only=True)
class EncoderTitle:
    """Name of an encoder for sentences.

    Attributes:
        name: Name without size and whitening.
        sized: Whether the size of its images belongs to the name.
    """

    name: str
    sized: bool

    def words(self, *, image_size: int, whitened: str | None) -> str:
        """The whole name.

        Args:
            image_size: Side of the encoder's images in pixels.
            whitened: How it is whitened, such as `half-whitened`; None: it is not.
        """
        size = f"{image_size} px" if self.sized else None
        return ", ".join(part for part in (self.name, size, whitened) if part)


def untouched_title(config: EncoderConfig) -> EncoderTitle:
    """Name of the encoder that a configuration describes, without fine-tuning."""
    match config:
        case PixelsConfig():
            return EncoderTitle(name="raw pixels", sized=False)
        case HistogramConfig():
            return EncoderTitle(name=f"colour histogram ({config.space.upper()})", sized=False)
        case _:
            return EncoderTitle(name=f"untouched {_model(config)}{_ways(config)}", sized=True)


def encoder_description(encoder: EncoderConfig) -> str:
    """Model, weights, size and what else describes an encoder, as in its configuration."""
    if isinstance(encoder, TwoTowersConfig):
        return f"{encoder_description(encoder.image)}; text tower {PurePosixPath(encoder.text).name}"
    plain = encoder.model_dump(mode="json")
    weights = plain.get("weights")
    if weights is not None:
        plain["weights"] = PurePosixPath(weights).name if names_a_file(weights) else f"weights {weights}"
    displayed = [str(plain[key]) for key in ("model", "target", "space", "weights") if plain.get(key)]
    pixels = plain.get("evaluation_image_size") or plain.get("image_size")
    size = f"{pixels} px" if pixels else ""
    pooling = plain["pooling"] if plain.get("pooling", "default") != "default" else ""
    mirrored = "flip averaging" if plain["flip_averaging"] else ""
    return ", ".join(text for text in (plain["kind"], *displayed, size, pooling, mirrored) if text)


def _model(config: EncoderConfig) -> str:
    match config:
        case ResNetConfig() | TimmConfig():
            return f"{_family(config.model)}{_weights(config.weights)}"
        case ClipConfig():
            return _family(PurePosixPath(config.model).name)
        case TwoTowersConfig():
            return f"{_model(config.image)} with the texts of {PurePosixPath(config.text).name}"
        case PythonEncoderConfig():
            return config.target
        case _:
            return config.kind


def _family(model: str) -> str:
    for pattern, words in _FAMILIES:
        found = pattern.fullmatch(model)
        if found is not None:
            return words.format(found[1][0].upper() + found[1][1:])
    return model


def _weights(weights: str) -> str:
    if weights == "none":
        return " with random weights"
    if names_a_file(weights) and not weights.startswith(PACKAGE_PREFIX):
        return f" of {PurePosixPath(weights).name}"
    return ""


def _ways(config: EncoderConfig) -> str:
    """What else tells two encoders of one network apart."""
    section = config.image if isinstance(config, TwoTowersConfig) else config
    pooling = getattr(section, "pooling", "default")
    ways = ["" if pooling == "default" else f"{pooling} pooling", "flip averaging" if section.flip_averaging else ""]
    return "".join(f", {way}" for way in ways if way)

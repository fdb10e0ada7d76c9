"""Weights file of a ResNet: its format, and the image normalisation that it needs."""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simtrain.config import EncoderConfig, ResNetConfig, TwoTowersConfig, read_yaml
from simtrain.config.encoder import Normalisation
from simtrain.encoders.weights import locate, names_a_file
from simtrain.errors import ConfigError
from simtrain.files import sha256_of_file

if TYPE_CHECKING:
    from simtrain.encoders.simclr_checkpoint import SimCLRCheckpoint

_UNTOLD: Normalisation = "imagenet"  # what torchvision's own weights want, and runs have had that name none
_WORDS: dict[Normalisation, str] = {"imagenet": "ImageNet normalisation", "unit_range": "images from 0 to 1"}
_MAKERS = {
    "lightning-bolts": "lightning-bolts SimCLR",
    "google-simclr-v1": "Google SimCLR",
    "google-simclr-v2": "Google SimCLRv2",
    "vissl": "VISSL",
    "moco": "MoCo",
    "simsiam": "SimSiam",
}


@dataclass(frozen=True, kw_only=True)
class WeightsFile:
    """A weights file of pretrained weights, and its content.

    Attributes:
        file: Name of the file in the configuration.
        sha256: SHA-256 of the file.
        key: Key of the normalisation in the configuration.
        chosen: Normalisation that the configuration sets, which is used; None: the file's is used.
        trained_with: The normalisation of the images that the weights were trained on.
        is_assumed: Whether `trained_with` is ImageNet's because the file does not tell.
        description: Result of `SimCLRCheckpoint.describe`.
    """

    file: str
    sha256: str
    key: str
    chosen: Normalisation | None
    trained_with: Normalisation
    is_assumed: bool
    description: dict[str, Any]

    @property
    def normalisation(self) -> Normalisation:
        """Normalisation that the encoder is built with."""
        return self.chosen or self.trained_with

    def lines(self) -> list[str]:
        """Lines for the user: origin of the weights, normalisation of images, and whether that may be wrong."""
        source, architecture = self.description["source"], self.description["architecture"]
        whose = f"{_MAKERS.get(source, source)} {architecture}"
        parts = [f"{architecture} in torchvision's names" if source == "torchvision" else whose]
        parts.append(_WORDS[self.normalisation])
        if self.chosen is None and self.is_assumed:
            parts[-1] += f" (assumed, the file does not say; {self.key} sets it)"
        if self.description["projection_head"]:
            parts.append(f"projection head of {self.description['projection_head']} tensors left out")
        lines = [f"weights: {', '.join(parts)}"]
        if self.normalisation != self.trained_with and not self.is_assumed:
            lines.append(
                f"warning: {self.key} is {self.normalisation}, and these weights were trained with {self.trained_with}"
            )
        return lines

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; `mean` and `std` are those of the weights' training, `normalisation` is what holds."""
        return {"file": self.file, "sha256": self.sha256, "normalisation": self.normalisation, **self.description}


def inspect_weights_file(config: EncoderConfig) -> WeightsFile | None:
    """Content of the weights file of a `resnet`, or of the one in `two_towers`.

    None where there is no such file, or its tensors are taken by their order, whose names tell nothing.

    Raises:
        CheckpointError: if it is not there, or no checkpoint of a whole ResNet.
    """
    resnet = _resnet_of(config)
    if resnet is None or resnet.weights_match == "order" or not names_a_file(resnet.weights):
        return None
    path = locate(resnet.weights)
    checkpoint = read_checkpoint(path)
    return WeightsFile(
        file=resnet.weights,
        sha256=sha256_of_file(path),
        key="encoder.normalisation" if resnet is config else "encoder.image.normalisation",
        chosen=resnet.normalisation,
        trained_with=checkpoint.normalisation,
        is_assumed=checkpoint.normalisation_is_assumed,
        description=checkpoint.describe(),
    )


def read_checkpoint(path: Path) -> "SimCLRCheckpoint":
    """As `read_simclr_checkpoint`; of simtrain's own weights the run or bundle around them tells the normalisation.

    Raises:
        CheckpointError: as that does.
    """
    from simtrain.encoders.simclr_checkpoint import read_simclr_checkpoint

    checkpoint = read_simclr_checkpoint(path)
    recorded = _recorded_around(path) if checkpoint.source == "simtrain" else None
    if recorded is None:
        return checkpoint
    return replace(checkpoint, normalisation=recorded, normalisation_is_assumed=False)


def normalisation_of(config: EncoderConfig) -> Normalisation | None:
    """What a `resnet`, or the one in `two_towers`, has for its normalisation without its weights file; else None."""
    resnet = _resnet_of(config)
    return None if resnet is None else resnet.normalisation or _UNTOLD


def with_normalisation(config: EncoderConfig, *, normalisation: Normalisation | None) -> EncoderConfig:
    """The configuration with a normalisation where it left that to the weights, so that nobody need read them again.

    Args:
        config: Configuration of an encoder; one that sets a normalisation, or needs none, stays as it is.
        normalisation: Normalisation to fill in; None: the one that is used without a weights file.
    """
    match config:
        case ResNetConfig(normalisation=None):
            return config.model_copy(update={"normalisation": normalisation or _UNTOLD})
        case TwoTowersConfig():
            return config.model_copy(update={"image": with_normalisation(config.image, normalisation=normalisation)})
        case _:
            return config


def _resnet_of(config: EncoderConfig) -> ResNetConfig | None:
    image = config.image if isinstance(config, TwoTowersConfig) else config
    return image if isinstance(image, ResNetConfig) else None


def _recorded_around(path: Path) -> Normalisation | None:
    """What `encoder.json` of a bundle, or `config.yaml` of a run, says of weights that lie where simtrain puts them."""
    from simtrain.encoders.resnet import NORMALISATIONS

    run_folder = path.parent.parent if path.parent.name == "encoder" else path.parent
    try:
        if (path.parent / "encoder.json").is_file():
            used = json.loads((path.parent / "encoder.json").read_text(encoding="utf-8"))["preprocessing"]
            found = tuple(used["mean"]), tuple(used["std"])
            return next((name for name, values in NORMALISATIONS.items() if values == found), None)
        if (run_folder / "run.json").is_file():
            encoder = read_yaml(run_folder / "config.yaml")["encoder"]
            image = encoder.get("image", encoder) if encoder["kind"] == "two_towers" else encoder
            named = image.get("normalisation") or _UNTOLD
            return next((name for name in NORMALISATIONS if image["kind"] == "resnet" and name == named), None)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, ConfigError):
        pass  # some other program's files: the normalisation is then assumed, and a line says so
    return None

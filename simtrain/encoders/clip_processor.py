"""Conversion of a CLIP image processor of transformers to `Preprocessing`."""

from typing import Any, cast

from simtrain.encoders.preprocessing import Preprocessing, Resize
from simtrain.errors import ConfigError

_FILTERS = {2: "bilinear", 3: "bicubic"}  # Pillow's numbers


def clip_preprocessing(
    processor: Any,
    *,
    model: str,
    image_size: int | None,
    evaluation_image_size: int | None,
    resize: Resize | None,
) -> Preprocessing:
    """What the model's own image processor does, which is set to what is returned here.

    Args:
        processor: The image processor of transformers; changed in place.
        model: Name of the model, for messages.
        image_size: Side of the image in pixels; None, or the model's own size.
        evaluation_image_size: The same of the images that are embedded.
        resize: Way of resizing to a square; None: the processor's own.

    Raises:
        ConfigError: for a size that the model does not read, or a processor that prepares images otherwise than
            `Preprocessing` can.
    """
    size, crop = (
        dict(processor.size),
        dict(processor.crop_size or {}) if getattr(processor, "do_center_crop", False) else {},
    )
    target = crop or size
    side = int(target.get("height") or target["shortest_edge"])
    if image_size not in (None, side):
        raise ConfigError(f"{model} reads {side} pixels, not {image_size}; leave it out", argument="image_size")
    if evaluation_image_size not in (None, side):
        problem = f"{model} reads {side} pixels, not {evaluation_image_size}; leave it out"
        raise ConfigError(problem, argument="evaluation_image_size")
    shrunk = size.get("shortest_edge")
    plain = processor.do_resize and processor.do_normalize and int(processor.resample) in _FILTERS
    square = target.get("width", side) == side and (shrunk == side if crop else "height" in size)
    if not plain or (resize is None and not square):
        raise ConfigError(
            f"{model} prepares images in a way of its own; name one of pad, crop, squash instead", argument="resize"
        )
    preprocessing = Preprocessing(
        image_size=side,
        resize=resize or ("crop" if crop else "squash"),
        interpolation=cast(Any, _FILTERS[int(processor.resample)]),
        mean=tuple(processor.image_mean),
        std=tuple(processor.image_std),
        flip_averaging=False,
    )
    processor.do_center_crop = preprocessing.resize == "crop"
    processor.crop_size = type(processor.size)(height=side, width=side)
    sides = {"shortest_edge": side} if preprocessing.resize == "crop" else {"height": side, "width": side}
    processor.size = type(processor.size)(**sides)
    return preprocessing

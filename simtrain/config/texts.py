"""Configuration of the training texts of image-text losses."""

from typing import Annotated, Literal

from pydantic import Field

from simtrain.config.section import Section


class TextsConfig(Section):
    """Texts of the training images, and which of them are right answers to each other."""

    templates: Annotated[list[str], Field(min_length=1)] = Field(default_factory=lambda: ["{caption}"])
    """Texts over the catalogue's columns: `{caption}`, `a photo of a {colour} {category}`; of several (other words,
    other languages) each image takes one at random in each step, among those whose columns it has."""

    positives: list[str] = Field(default_factory=lambda: ["text", "duplicate_group"])
    """Which texts of other images match too: `text` (the same words), or a column with equal values,
    such as `product`; any one is enough. An empty list: an image has its own text alone, and every other is wrong."""

    loss: Literal["auto", "softmax", "sigmoid"] = "auto"
    """`softmax` over the batch (CLIP), or `sigmoid` of each pair (SigLIP); `auto`: the one that the encoder was
    trained with."""

    learn_scale: bool = False
    """Whether the factor of the cosines (the inverse temperature) learns too, up to 100; small batches drive it off."""


class MixedTextsConfig(TextsConfig):
    """An image-text loss in addition to the objective's own loss."""

    weight: float = Field(default=1.0, gt=0, le=100)
    """Factor of the image-text loss, above 0 to 100."""

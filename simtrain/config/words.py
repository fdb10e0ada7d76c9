"""What training reads of a catalogue's texts, and how an encoder is held to what it knew before."""

from typing import Annotated, Literal

from pydantic import Field

from simtrain.config.section import Section


class TextsConfig(Section):
    """Texts of the training images, and which of them are right answers to each other."""

    templates: Annotated[list[str], Field(min_length=1)] = Field(default_factory=lambda: ["{caption}"])
    """Texts over the catalogue's columns: `{caption}`, `a photo of a {colour} {category}`; of several (other words,
    other languages) each image takes one at random in each step, among those whose columns it has."""

    positives: list[str] = Field(default_factory=lambda: ["text", "duplicate_group"])
    """What makes the text of another image a right answer too: `text` (the same words), or a column with equal values,
    such as `product`; any one is enough. An empty list: an image has its own text alone, and every other is wrong."""

    loss: Literal["auto", "softmax", "sigmoid"] = "auto"
    """`softmax` over the batch (CLIP), or `sigmoid` of each pair (SigLIP); `auto`: the one that the encoder was
    trained with."""

    learn_scale: bool = False
    """Whether the factor of the cosines (the inverse temperature) learns too, up to 100; small batches drive it off."""


class MixedTextsConfig(TextsConfig):
    """An image-text loss beside the loss of images."""

    weight: float = Field(default=1.0, gt=0, le=100)
    """It is added times this, above 0 to 100."""


class KeepConfig(Section):
    """What holds an encoder near to what it was before training."""

    distillation: Annotated[float, Field(ge=0, le=1000)] | None = None
    """Add this times the mean of 1 - cosine between the embedding of a view and that of the untouched encoder, 0 to
    1000; null: 1 for a `clip` that trains on images alone, else 0."""

    weight_distance: Annotated[float, Field(ge=0, le=1e9)] | None = None
    """Add this times the mean squared distance of the weights from where they started, 0 to 1e9 (all of them moved by
    1e-4 are a distance of 1e-8); null: 1e5 for a `clip` that trains on images alone, else 0."""

"""Configuration of relational distillation: the teacher, and the similarities that it teaches."""

from typing import Annotated, Literal

from pydantic import Field

from simtrain.config.section import Section

ImageSize = Annotated[int, Field(ge=32, le=1024)]


class DistillationConfig(Section):
    """The similarities within a batch follow those of a teacher, which sees the clean images at larger sizes."""

    temperature: float = Field(default=0.1, gt=0, le=10)
    """Divides the cosine similarities of teacher and student, above 0 to 10: lower values weigh the nearest images
    more."""

    teacher: str = "start"
    """`start`: the encoder of this run before its first step, up to its pretrained features; or any encoder by name, as
    `simtrain compare --encoders` takes it: `timm:MODEL`, `clip:MODEL`, a run's .yaml. It embeds the training images
    once; the catalogue keeps that for other runs and for `compare`."""

    teacher_image_sizes: Annotated[list[ImageSize], Field(min_length=1, max_length=8)] | None = None
    """Sides in pixels, 32 to 1024, at which the teacher sees each image and its mirror image; similarities are averaged
    over them. null: about 4/7, 1 and 10/7 of the side at which it is evaluated, 224 at least (128, 224, 320); or that
    side alone where the network is made for it (CLIP, vision transformers)."""

    whitening_power: float = Field(default=0.25, ge=0, le=0.5)
    """The teacher's vectors are centred and turned to their principal axes; each axis is divided by its variance to
    this power, 0 to 0.5: 0 leaves the lengths, 0.25 whitens half, 0.5 wholly."""

    teacher_dimensions: Annotated[int, Field(ge=2, le=8192)] | None = 256
    """Principal axes that are kept, 2 to 8192; fewer where there are no more training images than that. null: all."""

    teacher_neighbours: int = Field(default=6, ge=1, le=1000)
    """Average each teacher vector over this many nearest vectors, itself included, weighted by similarity³; 1 to 1000;
    1: no averaging. Where products have one image each, try 1."""

    neighbours_across: list[str] = Field(default_factory=list)
    """Columns, such as `vendor` or `session`, in each of which a neighbour must differ from the image. Name columns
    that make images similar for other reasons than the product: the maker, the shop, the photographer."""


class MixedDistillationConfig(DistillationConfig):
    """Relational distillation beside another loss: it keeps what that loss does not speak of, such as the category."""

    weight: float = Field(default=0.15, gt=0, le=1000)
    """Weight of the distillation loss, above 0 to 1000. Higher values keep more of the category and learn less of the
    product."""

    pairs: Literal["all", "other_groups"] = "other_groups"
    """Which similarities are taught: `all`, or those of `other_groups`, without the positive pairs of the other
    loss."""

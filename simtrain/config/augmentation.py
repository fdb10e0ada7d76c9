"""Configuration of the augmentation of training views."""

from typing import Any, Literal

from pydantic import Field, model_validator

from simtrain.config.section import Section


class TransformConfig(Section):
    """One transform of albumentations."""

    name: str
    """The class, such as `HorizontalFlip`."""

    parameters: dict[str, Any] = Field(default_factory=dict)
    """Keyword arguments of its constructor."""


class AugmentationConfig(Section):
    """Augmentation of training views: a preset, parts of it changed, or a custom list."""

    preset: Literal["affine", "color_sensitive", "color_invariant", "simclr"] = "color_sensitive"
    """`affine` rotates, zooms, shifts and changes the light a little, and shows all of the product; `color_sensitive`
    crops and cuts holes besides and leaves saturation alone; `color_invariant` does that and makes colour variants of a
    product alike; `simclr` is the full recipe of the paper (crops of a twelfth, colour jitter, grayscale, blur)."""

    flip: bool | None = None
    """Mirror half of the views, left for right; null: as the preset does (all do)."""

    rotation: float | None = Field(default=None, ge=0, le=180)
    """Largest rotation in degrees, in both directions, 0 to 180; null: as the preset does (15; simclr 0)."""

    zoom: float | None = Field(default=None, ge=0, lt=1)
    """Largest change of width and height as a share, 0 to below 1; null: as the preset does (0.15; simclr 0)."""

    shift: float | None = Field(default=None, ge=0, lt=1)
    """Largest move as a share of the side, 0 to below 1; null: as the preset does (0.1; simclr 0)."""

    border: Literal["white", "own_color", "replicate", "reflect"] | None = None
    """Filling beside a picture that was moved: `white`, the median colour of its own border, its outermost pixels
    repeated, or its mirror image; null: as the preset does (affine `own_color`, others `replicate`)."""

    crop: float | None = Field(default=None, gt=0, le=1)
    """Smallest share of the area that a view shows, above 0 to 1; 1: all of it; null: as the preset does (affine 1,
    `color_sensitive` and `color_invariant` 0.5, simclr 0.08)."""

    color: Literal["none", "light", "mild", "all_hues", "simclr"] | None = None
    """`light` changes brightness and contrast by 15 %; `mild` these and saturation by 20 %; `all_hues` turns the hue
    anywhere, some views grey; `simclr` is the paper's, with blur; null: as the preset does."""

    cutout: float | None = Field(default=None, ge=0, le=1)
    """Share of the views with a black rectangle, 0 to 1; null: as the preset does (0.3 of `color_sensitive` and
    `color_invariant`, none of the others)."""

    engine: Literal["fused", "albumentations"] = "fused"
    """How the parts are applied: `fused` resamples a view once and changes its light and colour in one step;
    `albumentations` does one part after another, at a quarter of the speed. Both draw from the same distributions, each
    with dice of its own. A run that began before there was this setting goes on with albumentations."""

    device: Literal["auto", "loader", "trainer"] = "auto"
    """Where views are made: `loader`, by the loading processes; `trainer`, on the device of the network, a batch at a
    time, from pictures that the loading processes only read; `auto`: on a GPU so, where the parts are `fused` and the
    network is not frozen. The same draws give the same views, within a few levels."""

    transforms: list[TransformConfig] | None = None
    """Transforms instead of the preset; a resize to the encoder's square is always added at the end."""

    @property
    def changed_parts(self) -> dict[str, Any]:
        """The parts that are not as the preset has them."""
        return {
            name: value
            for name, value in self
            if name not in ("preset", "engine", "device", "transforms") and value is not None
        }

    @model_validator(mode="after")
    def _a_list_has_no_parts(self) -> "AugmentationConfig":
        if self.transforms is not None and self.changed_parts:
            raise ValueError(
                f"augmentation.{next(iter(self.changed_parts))} changes a preset; augmentation.transforms stands "
                "in place of one: set one of the two"
            )
        return self

    @model_validator(mode="after")
    def _a_device_makes_fused_parts(self) -> "AugmentationConfig":
        if self.device == "trainer" and (self.engine != "fused" or self.transforms is not None):
            other = "augmentation.transforms" if self.transforms is not None else f"augmentation.engine {self.engine}"
            raise ValueError(f"augmentation.device trainer makes the fused parts of a preset; got {other}; take loader")
        return self

"""Configuration of `simtrain prepare`: columns, splits, inspection, near duplicates, image store."""

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from simtrain.config.encoder import EncoderConfig
from simtrain.config.section import Section


class ColumnsConfig(Section):
    """Names of a table's columns; null: the column of the field's own name, if the table has one."""

    path: str = "path"
    """Image file, relative to the table's folder (or to `root`)."""

    id: str | None = None
    """Unique name of the image; without one, its path."""

    product: str | None = None
    """Product, equal for images of one product."""

    label: str | None = None
    """Class."""

    caption: str | None = None
    """Title or description."""

    split: str | None = None
    """`train`, `val` or `test`; a split that the column lacks is drawn from `train`."""

    query: str | None = None
    """Whether the image is a query in evaluations (true or false)."""

    gallery: str | None = None
    """Whether the image is in the gallery in evaluations (true or false)."""


class SplitConfig(Section):
    """Shares of the groups (products, else duplicate groups, else single images); `train` gets the rest."""

    protocol: Literal["closed_set", "open_set"] = "closed_set"
    """`closed_set`: the products of a class are spread over the splits; `open_set`: a class is whole in one split, so
    that metrics are of classes that training has never seen."""

    val: float = Field(default=0.1, ge=0, lt=1)
    """Share of the groups for model selection, 0 to below 1."""

    test: float = Field(default=0.2, ge=0, lt=1)
    """Share of the groups for the final metrics, 0 to below 1."""

    folds: Annotated[int, Field(ge=3, le=100)] | None = None
    """Also number the groups 0 to folds - 1 in a column `fold`, for cross-validation (`fold` of a run), 3 to 100;
    null: no such column."""

    @model_validator(mode="after")
    def _leave_something_to_train_on(self) -> "SplitConfig":
        if self.val + self.test >= 1:
            raise ValueError(f"val + test = {self.val + self.test:g} leaves nothing to train on; keep it below 1")
        return self


class SyntheticConfig(Section):
    """The rendered catalogue of `synthetic[:N]`."""

    views: int = Field(default=5, ge=1, le=64)
    """Number of images of each product, 1 to 64."""

    image_size: int = Field(default=160, ge=32, le=1024)
    """Side of the images in pixels, 32 to 1024."""


class InspectionConfig(Section):
    """Limits beyond which images and labels are reported."""

    smallest_side: int = Field(default=64, ge=1, le=4096)
    """Images with a side below so many pixels are reported as tiny, 1 to 4096."""

    largest_aspect: float = Field(default=4.0, gt=1)
    """Images whose long side is so many times the short one, or more, are reported as extreme, above 1."""

    largest_imbalance: float = Field(default=10.0, gt=1)
    """Labels are reported as imbalanced where the largest has more than so many times the images of the smallest."""


class NearDuplicatesConfig(Section):
    """Search for near duplicates: images that differ by size, compression or a slight crop only."""

    find: bool = True
    """Whether near duplicates are searched for."""

    across_products: Literal["keep", "set_aside"] = "keep"
    """Near duplicates that the source gives to different products (where one has none: to different labels): `keep`
    tells of them and takes them for what the source says, `set_aside` takes them for copies. Images of equal pixels are
    copies in any case."""

    mirrored: bool = False
    """Whether mirrored copies count too."""

    encoder: EncoderConfig | None = None
    """Encoder that verifies near duplicates: more pairs are tried, and those that it finds similar count; null: pixels
    decide."""

    similarity: float = Field(default=0.95, gt=0, le=1)
    """Lowest cosine similarity of a near duplicate under that encoder, above 0 to 1."""

    @field_validator("encoder")
    @classmethod
    def _no_whitening(cls, value: EncoderConfig | None) -> EncoderConfig | None:
        if getattr(value, "whitening", None) is not None:
            raise ValueError("whitening: near duplicates are found before there are training images; set it to null")
        return value


class StoreConfig(Section):
    """Image store: images decoded once and reduced, for training, evaluation and export."""

    kind: Literal["auto", "raw", "jpeg", "none"] = "auto"
    """`raw` pixels (fastest), `jpeg` (smaller), `none`; `auto`: raw while small, by the free disk."""

    side: int = Field(default=288, ge=32, le=4096)
    """Shorter side in pixels, 32 to 4096, of an image that is larger; 288 leaves headroom for crops of 224."""

    quality: int = Field(default=95, ge=60, le=100)
    """JPEG quality of `jpeg`, 60 to 100; colour is kept at full resolution."""


class PrepareConfig(Section):
    """Settings of `simtrain prepare`."""

    seed: int = Field(default=0, ge=0, lt=2**31)
    """Seed of splits and synthetic images, 0 to 2147483647."""

    columns: ColumnsConfig = ColumnsConfig()
    """Names of a table's columns."""

    root: str | None = None
    """Folder that a table's paths start from; null: the table's own folder."""

    levels: list[str] | None = None
    """Meaning of the nested folders of a folder source, outermost first, such as `[split, label, product]`;
    null: an outermost train/val/test is the split, the rest of the folder's path is the label."""

    product_pattern: str | None = None
    """Regular expression with one group, searched in the relative path, that gives the product, such as
    `([^/]+)_\\d+\\.jpg$`; null: none."""

    split: SplitConfig = SplitConfig()
    """Shares of the splits."""

    synthetic: SyntheticConfig = SyntheticConfig()
    """The rendered catalogue."""

    inspection: InspectionConfig = InspectionConfig()
    """Limits for the findings about images and labels."""

    near_duplicates: NearDuplicatesConfig = NearDuplicatesConfig()
    """Search for near duplicates."""

    store: StoreConfig = StoreConfig()
    """Image store."""

    workers: Annotated[int, Field(ge=1, le=256)] | None = None
    """Number of processes that read and verify images, 1 to 256; null: one per core."""

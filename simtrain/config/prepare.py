"""Configuration of `simtrain prepare`: columns, splits, inspection, near duplicates, image store."""

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from simtrain.config.encoder import EncoderConfig
from simtrain.config.section import Section

_NOTHING = (
    "nan", "-nan", "none", "<none>", "null", "(null)", "[null]", "<null>", "nil", "undefined", "\\n", "<na>", "nat",
    "n/a", "n.a.", "#n/a", "(blank)", "-", "--", "...", "?",
)  # fmt: skip


class ColumnsConfig(Section):
    """Names of a table's columns; null: the column of the field's own name, if the table has it; false: none."""

    path: str = "path"
    """Image file, relative to the table's folder (or to `root`)."""

    id: str | Literal[False] | None = None
    """Unique name of the image; without one, its path."""

    product: str | Literal[False] | None = None
    """Product, equal for images of one product."""

    label: str | Literal[False] | None = None
    """Class."""

    caption: str | Literal[False] | None = None
    """Title or description."""

    split: str | Literal[False] | None = None
    """`train`, `val` or `test`; a split that the column lacks is drawn from `train`."""

    query: str | Literal[False] | None = None
    """Whether the image is a query in evaluations (true or false)."""

    gallery: str | Literal[False] | None = None
    """Whether the image is in the gallery in evaluations (true or false)."""

    group: str | list[str] | None = None
    """Column, or a list of columns, whose equal values keep images of different products on one side of the split and
    in one fold, such as a design's family or a photo session; null: none, also where the table has a column `group`."""

    @field_validator("group", mode="before")
    @classmethod
    def _one_column_or_more(cls, value: object) -> object:
        several = isinstance(value, list) and bool(value) and all(isinstance(name, str) for name in value)
        if value is None or isinstance(value, str) or several:
            return value
        raise ValueError(f"got {value!r}; allowed: the name of a column, or a list of names such as [family, session]")

    @property
    def groups(self) -> list[str]:
        """The columns of `group` as a list."""
        return [] if self.group is None else [self.group] if isinstance(self.group, str) else self.group


class DialectConfig(Section):
    """How text files (`.csv`, `.tsv`, `.jsonl`) stand for tables; found where nothing is said."""

    encoding: str | None = None
    """Encoding such as `cp1256`; null: UTF-8, UTF-16 or UTF-32, else the old one that the letters make most likely,
    such as `cp1250`, `cp1254`, `cp932` or `gb18030`, which is told with a word of the table; a line or two can
    deceive."""

    separator: Annotated[str, Field(min_length=1, max_length=1)] | None = None
    """One character between fields; null: the one of comma, semicolon, tab and bar that fits."""


class SplitConfig(Section):
    """Shares of the groups (products, else duplicate groups, else single images); `train` gets the rest."""

    protocol: Literal["closed_set", "open_set"] = "closed_set"
    """`closed_set`: the products of a class are spread over the splits; `open_set`: a class is whole in one split, so
    that metrics are of classes that training has never seen."""

    val: float = Field(default=0.2, ge=0, lt=1)
    """Share of the groups for model selection, 0 to below 1. Each group is drawn by its own hash, so the share is met
    on average: of 400 groups and 0.2 mostly 64 to 96."""

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
    """Images with a side below this many pixels are reported as tiny, 1 to 4096."""

    largest_megapixels: float = Field(default=300.0, gt=0)
    """Images of more pixels are not read, in millions, above 0. Cameras have up to 200; 300 take 1 to 2 GB of memory in
    each process that reads (`workers`), and a small hostile file can claim to be a million times as large."""

    largest_aspect: float = Field(default=4.0, gt=1)
    """Images whose long side is at least this many times the short one are reported as extreme, above 1."""

    largest_imbalance: float = Field(default=10.0, gt=1)
    """Labels are reported as imbalanced where the largest has more than this many times the images of the smallest."""


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

    table: str | None = None
    """Table inside a folder (or a downloaded data set) that describes its images, relative to it, such as
    `metadata.csv`; null: none, or with `columns` the only one that names images."""

    dialect: DialectConfig = DialectConfig()
    """Encoding and separator of text tables."""

    nothing: list[str] = Field(default_factory=lambda: list(_NOTHING))
    """Words that stand for no product, in any case; with `[]` they are products, as are ruins such as `4.00E+12`."""

    sidecars: bool = False
    """Whether files of an image's own name beside it are read: `NAME.txt` (or `.caption`) as its caption, the fields of
    `NAME.json` as columns, as img2dataset writes them."""

    follow_links: bool = True
    """Whether links out of the source are followed, as DVC, git-annex and hub caches make them."""

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

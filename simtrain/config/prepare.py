"""How a source of images becomes a catalogue."""

from typing import Annotated

from pydantic import Field, model_validator

from simtrain.config.section import Section


class ColumnsConfig(Section):
    """Which column of a table plays which part; null: the column of that very name, if the table has one."""

    path: str = "path"
    """Image file, relative to the table's folder (or to `root`)."""

    id: str | None = None
    """Unique name of the image; without one, its path."""

    product: str | None = None
    """Images of one product share it."""

    label: str | None = None
    """Class."""

    caption: str | None = None
    """Title or description."""

    split: str | None = None
    """`train`, `val` or `test`; a split that the column lacks is drawn from `train`."""

    query: str | None = None
    """Whether the image asks in an evaluation (true or false)."""

    gallery: str | None = None
    """Whether the image can be found in an evaluation (true or false)."""


class SplitConfig(Section):
    """Shares of the groups (products, else duplicate groups, else single images); `train` gets the rest."""

    val: float = Field(default=0.1, ge=0, lt=1)
    """Share for model selection, 0 to 1."""

    test: float = Field(default=0.2, ge=0, lt=1)
    """Share for the final figures, 0 to 1."""

    @model_validator(mode="after")
    def _leave_something_to_train_on(self) -> "SplitConfig":
        if self.val + self.test >= 1:
            raise ValueError(f"val + test = {self.val + self.test:g} leaves nothing to train on; keep it below 1")
        return self


class SyntheticConfig(Section):
    """The rendered catalogue of `synthetic[:N]`."""

    views: int = Field(default=5, ge=1, le=64)
    """Pictures of each product, 1 to 64."""

    image_size: int = Field(default=160, ge=32, le=1024)
    """Side in pixels, 32 to 1024."""


class PrepareConfig(Section):
    """Settings of `simtrain prepare`."""

    seed: int = Field(default=0, ge=0, lt=2**31)
    """Decides splits and synthetic pictures."""

    columns: ColumnsConfig = ColumnsConfig()
    """Parts that the columns of a table play."""

    root: str | None = None
    """Folder that a table's paths start from; null: the table's own folder."""

    levels: list[str] | None = None
    """What the nested folders of a folder source mean, outermost first, such as `[split, label, product]`;
    null: an outermost train/val/test is the split, the rest of the folder's path is the label."""

    product_pattern: str | None = None
    """Regular expression with one group, searched in the relative path, that gives the product, such as
    `([^/]+)_\\d+\\.jpg$`; null: none."""

    split: SplitConfig = SplitConfig()
    """Shares of the splits."""

    synthetic: SyntheticConfig = SyntheticConfig()
    """The rendered catalogue."""

    workers: Annotated[int, Field(ge=1, le=256)] | None = None
    """Processes that read and verify images, 1 to 256; null: one per core."""

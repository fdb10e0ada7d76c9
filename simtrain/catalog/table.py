"""The catalogue table: one row per image in `catalog.parquet`, and the folder that its paths start from."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from shlex import quote

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from simtrain.catalog.split import copies_to_set_aside
from simtrain.errors import CatalogError, first_line
from simtrain.failures import damage_told
from simtrain.files import whole_file
from simtrain.mistaken import mistaken
from simtrain.parquet import read_table, write_table

CATALOG_FILE = "catalog.parquet"
FOLD_COLUMN = "fold"
NEAR_DUPLICATES = "near_duplicate_group"
"""Column of exact and near copies, which catalogues of earlier versions lack."""
SPLITS = ("train", "val", "test")
TEXT_COLUMNS = ("id", "path", "split", "product", "label", "caption")
COLUMNS = (*TEXT_COLUMNS, "query", "gallery", "width", "height", "sha256", "duplicate_group")
_MAY_LACK = ("product", "label", "caption")
_METADATA_KEY = b"simtrain"
_FORMAT_VERSION = 1
_LARGER_SHARE = 0.3  # that is advised for a split that is too small; `SplitConfig` has 0.2


@dataclass(frozen=True, kw_only=True)
class Catalog:
    """A catalogue of product images.

    Attributes:
        rows: One row per image with the columns of `COLUMNS` and any that the source had beyond them; index 0..N-1.
        root: Folder that the column `path` is relative to.
        folder: Folder that holds `catalog.parquet`.
    """

    rows: pd.DataFrame
    root: Path
    folder: Path

    def __str__(self) -> str:
        """The images of each split."""
        counts = self.rows["split"].value_counts()
        splits = ", ".join(f"{split} {int(counts.get(split, 0))}" for split in SPLITS)
        return f"catalogue: {self.folder} ({len(self.rows)} images: {splits})"

    def image_path(self, row: int) -> Path:
        """File of the image in that row."""
        return self.root / str(self.rows["path"].iat[row])

    def rows_of(self, splits: Sequence[str]) -> NDArray[np.int64]:
        """Row numbers of the images in these splits, ascending."""
        return np.flatnonzero(self.rows["split"].isin(list(splits)).to_numpy()).astype(np.int64)

    def with_fold(self, fold: int) -> "Catalog":
        """The same images with that fold as `test`, the next one as `val` and the others as `train`.

        Copies of images in a stricter split are left out.

        Raises:
            CatalogError: if the catalogue was not prepared in folds, or in fewer.
        """
        if FOLD_COLUMN not in self.rows.columns:
            raise CatalogError(
                f"{self.folder / CATALOG_FILE}: no column '{FOLD_COLUMN}'; prepare with --set split.folds=5"
            )
        folds = self.rows[FOLD_COLUMN].to_numpy()
        count = int(folds.max()) + 1  # none is empty
        if fold >= count:
            raise CatalogError(f"{self.folder / CATALOG_FILE}: fold {fold}; it has the folds 0 to {count - 1}")
        sides = np.where(folds == fold, "test", np.where(folds == (fold + 1) % count, "val", "train"))
        rows = self.rows.assign(split=pd.Series(sides, dtype=self.rows["split"].dtype))
        groups = self.rows["duplicate_group"].fillna(self.rows["id"]).astype(str).tolist()
        kept = ~np.array(copies_to_set_aside(sides.tolist(), groups), dtype=bool)
        return Catalog(rows=rows[kept].reset_index(drop=True), root=self.root, folder=self.folder)

    def groups(self, columns: Sequence[str]) -> NDArray[np.int64]:
        """One number per row, equal where all of `columns` are equal; -1 where one of them is empty.

        Raises:
            CatalogError: for a column that the catalogue does not have, with the ones it does.
        """
        for column in columns:
            if column not in self.rows.columns:
                names = ", ".join(map(str, self.rows.columns))
                raise CatalogError(f"{self.folder / CATALOG_FILE}: no column '{column}'; it has {names}")
        keys = self.rows[list(columns)]
        try:
            codes = (
                keys.groupby(list(columns), sort=True, dropna=False, observed=True).ngroup().to_numpy(dtype=np.int64)
            )
        except TypeError:  # lists and the like cannot be compared
            name = " + ".join(columns)
            raise CatalogError(
                f"{self.folder / CATALOG_FILE}: the values of '{name}' cannot be grouped; take text or numbers"
            ) from None
        return np.where(keys.isna().any(axis=1).to_numpy(), -1, codes)


def copy_codes(catalog: Catalog) -> NDArray[np.int64]:
    """(N,) one number per row, equal for exact and near copies of one picture; -1: it has none that is known."""
    column = NEAR_DUPLICATES if NEAR_DUPLICATES in catalog.rows.columns else "duplicate_group"
    return catalog.groups([column])


def write_catalog(catalog: Catalog) -> Path:
    """Write `catalog.parquet`, whole or not at all, and return its path."""
    target = catalog.folder / CATALOG_FILE
    with whole_file(target) as temporary:
        stage_catalog(catalog, temporary)
    return target


def stage_catalog(catalog: Catalog, path: Path) -> None:
    """Write the file that `catalog.folder` is to hold under another name, for a caller that renames it.

    The root is kept relative to the folder where it lies inside it, so that such a folder can be moved.
    """
    table = pa.Table.from_pandas(catalog.rows, preserve_index=False)
    root, folder = catalog.root.resolve(), catalog.folder.resolve()
    stored = root.relative_to(folder).as_posix() if root.is_relative_to(folder) else root.as_posix()
    note = json.dumps({"format_version": _FORMAT_VERSION, "root": stored}, sort_keys=True)
    table = table.replace_schema_metadata({**(table.schema.metadata or {}), _METADATA_KEY: note.encode()})
    write_table(table, path)


def with_larger_share(folder: Path, split: str) -> str:
    """What to do for more images in a split of a catalogue, for messages."""
    share = f"split.{split}={_LARGER_SHARE:g}"
    return f"prepare it with a larger share: simtrain prepare SOURCE --out {quote(str(folder))} --set {share}"


def with_larger_val(catalog: Catalog) -> str | None:
    """What to do for more validation images; None where `val` has its share of what is not for testing already."""
    val, train = (len(catalog.rows_of([split])) for split in ("val", "train"))
    return None if val >= _LARGER_SHARE * (val + train) else with_larger_share(catalog.folder, "val")


def _no_catalogue(path: Path) -> str:
    folder = path.parent
    source, out = "SOURCE", str(folder)
    pictures_may_be_there = folder.is_dir() and any(not path.name.startswith(".") for path in folder.iterdir())
    if folder.is_file() or pictures_may_be_there:
        source, out = str(folder), f"data/{folder.resolve().stem}"
    where = folder if folder.is_file() else path
    return f"{where}: no catalogue here; make one with: simtrain prepare {quote(source)} --out {quote(out)}"


def read_catalog(folder: Path) -> Catalog:
    """Open what `simtrain prepare` wrote.

    Args:
        folder: The folder, or the Parquet file in it.

    Raises:
        CatalogError: if it is not there, not a catalogue, or its images have moved.
    """
    folder = folder.expanduser()
    path = folder if folder.name == CATALOG_FILE else folder / CATALOG_FILE
    if not path.is_file():
        raise CatalogError(mistaken(path.parent, expected="catalogue") or _no_catalogue(path))
    try:
        table = read_table(path)
    except (pa.ArrowException, OSError) as error:
        raise CatalogError(f"{path}: not a Parquet file: {first_line(error)}") from None
    note = (table.schema.metadata or {}).get(_METADATA_KEY)
    missing = [name for name in COLUMNS if name not in table.column_names]
    if note is None or missing:
        lacking = f": no column {missing[0]}" if missing else ""
        raise CatalogError(f"{path}: not a catalogue of simtrain prepare{lacking}")
    with damage_told(path, error=CatalogError, advice="; run simtrain prepare again"):
        root = path.parent / str(json.loads(note)["root"])
        rows = table.to_pandas()
        _check_rows(rows)
    if not root.is_dir():
        raise CatalogError(f"{path}: its images were in {root}, which is gone; run simtrain prepare again")
    return Catalog(rows=rows, root=root, folder=path.parent)


def _check_rows(rows: pd.DataFrame) -> None:
    """Refuse values that `prepare` does not write.

    Raises:
        ValueError: naming the column.
    """
    for name in TEXT_COLUMNS:
        if not _is_text(rows[name], nulls=name in _MAY_LACK):
            raise ValueError(f"column {name} holds more than text")
    for name in ("query", "gallery"):
        if rows[name].dtype != bool:
            raise ValueError(f"column {name} holds more than true and false")
    if not rows["split"].isin(SPLITS).all():
        raise ValueError(f"column split holds more than {', '.join(SPLITS)}")
    if rows["id"].duplicated().any():
        raise ValueError("column id holds a value twice")


def _is_text(values: pd.Series, *, nulls: bool) -> bool:
    """Whether every value is a text, or null where that is allowed; of pandas' own type for texts no value is read."""
    if isinstance(values.dtype, pd.StringDtype):
        return nulls or not values.hasnans
    return all(isinstance(value, str) for value in (values.dropna() if nulls else values))

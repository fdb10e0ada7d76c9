"""What becomes of the columns of Parquet files with pictures inside: one table for all of them."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from simtrain.catalog.sources.embedded_columns import (
    embedded_columns,
    features_of,
    flat_schema,
    is_image_struct,
    is_list,
    opened,
    told,
)
from simtrain.catalog.sources.folder_splits import folder_split
from simtrain.catalog.sources.source import known_split
from simtrain.errors import CatalogError


@dataclass(frozen=True, kw_only=True)
class EmbeddedFiles:
    """Parquet files with pictures inside.

    Attributes:
        files: In the order of their paths.
        root: Folder that they lie in; names of folders below it can tell the split.
        problems: Parquet files that cannot be read, each as path and reason.
    """

    files: list[Path]
    root: Path
    problems: list[tuple[str, str]]


@dataclass(frozen=True, kw_only=True)
class Layout:
    """What becomes of which column; `images` by file, `kept` and `classes` by the source's names."""

    images: dict[Path, str]
    kept: dict[str, str]
    classes: dict[str, pa.Array]
    schema: pa.Schema
    rows: int


def layout_of(embedded: EmbeddedFiles, *, image_column: str | None) -> Layout:
    """The columns of the table that all files become.

    Raises:
        CatalogError: for files that cannot be read or united, and no or several columns of pictures with none named.
    """
    files = embedded.files
    images = {path: _image_column(path, image_column) for path in files}
    schemas, rows = [], 0
    features: dict[str, dict[str, Any]] = {}
    pictures: set[str] = set()
    for path in files:
        with told(path), opened(path) as file:
            schemas.append(flat_schema(file.schema_arrow))
            features = {**features_of(file.schema_arrow), **features}
            rows += file.metadata.num_rows
        pictures |= set(embedded_columns(path))
    others = _united(files, schemas, without=pictures)
    added = ["path"]
    if any(split_of_file(path, embedded.root) for path in files) and "split" not in others.names:
        added.append("split")
    kinds = [schema.field(images[path]).type for path, schema in zip(files, schemas, strict=True)]
    if any(is_image_struct(kind.value_type if is_list(kind) else kind) for kind in kinds):
        added.append("source_path")
    if any(is_list(kind) for kind in kinds):
        added.append("source_row")
    kept = _kept_names(others.names, taken=added)
    classes = {
        name: pa.array(features[name]["names"], type=pa.string())
        for name in others.names
        if features.get(name, {}).get("_type") == "ClassLabel" and features[name].get("names")
    }
    fields = [pa.field(name, pa.int64() if name == "source_row" else pa.string()) for name in added]
    fields += [pa.field(kept[c.name], pa.string() if c.name in classes else c.type) for c in others]
    return Layout(images=images, kept=kept, classes=classes, schema=pa.schema(fields), rows=rows)


def _united(files: Sequence[Path], schemas: Sequence[pa.Schema], *, without: set[str]) -> pa.Schema:
    """All columns but those with pictures, each of a type that holds the values of every file."""
    united = pa.schema([])
    for path, schema in zip(files, schemas, strict=True):
        rest = pa.schema(
            [pa.field(column.name, _plain(column.type)) for column in schema if column.name not in without]
        )
        for column in rest:
            try:
                pa.unify_schemas([united, pa.schema([column])], promote_options="permissive")
            except (pa.ArrowException, ValueError):
                other = united.field(column.name).type
                raise CatalogError(
                    f"{path}: column '{column.name}' is {column.type}, but {other} in {files[0]} or another file "
                    "before; "
                    "give it one type"
                ) from None
        united = pa.unify_schemas([united, rest], promote_options="permissive")
    return united


def _plain(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def _image_column(path: Path, wanted: str | None) -> str:
    found = embedded_columns(path)
    with told(path), opened(path) as file:
        names = file.schema_arrow.names
    if repeated := [name for name in names if names.count(name) > 1]:
        raise CatalogError(f"{path}: the column '{repeated[0]}' stands {len(repeated)} times; names must differ")
    if not found:
        raise CatalogError(f"{path}: no column holds pictures; it has {', '.join(names)}")
    listed = ", ".join(found)
    if wanted is not None and wanted not in found:
        raise CatalogError(f"{path}: columns.path: no column '{wanted}' with pictures; there are: {listed}")
    if wanted is None and len(found) > 1:
        raise CatalogError(f"{path}: several columns hold pictures; choose with columns.path=NAME: {listed}")
    return wanted or found[0]


def _kept_names(names: Sequence[str], *, taken: Sequence[str]) -> dict[str, str]:
    kept: dict[str, str] = {}
    for name in names:
        new = name
        while new in taken or (new != name and new in (*names, *kept.values())):
            new = f"source_{new}"
        kept[name] = new
    return kept


def split_of_file(path: Path, root: Path) -> str | None:
    """By the file's name, else by the innermost folder below the root, whose own name counts for `0000.parquet`.

    The name tells a split if it begins with one, or holds the words of one alone, such as `shop-train-00000`.
    """
    words = [known_split(word) for word in re.split(r"[-_.]", path.name)]
    if words[0] is not None:
        return words[0]
    told = {word for word in words if word is not None}
    if len(told) == 1:
        return told.pop()
    folders = list(path.parent.relative_to(root).parts) if path.is_relative_to(root) else []
    if path.stem.isdigit():
        folders = [root.resolve().name, *folders]
    return next((split for name in reversed(folders) if (split := folder_split(name)) is not None), None)

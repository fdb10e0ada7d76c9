"""What becomes of the columns of Parquet files with pictures inside: one table for all of them."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from simtrain.catalog.sources.column_names import repeated_finding, types_differ
from simtrain.catalog.sources.embedded_columns import (
    embedded_columns,
    features_of,
    flat_schema,
    is_bytes,
    is_image_struct,
    is_list,
    opened,
    repeated_columns,
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
    """What becomes of which column.

    Attributes:
        images: The column with the pictures of each file.
        kept: Name in the source of each other column -> name in the table.
        classes: Name in the source of a column of class numbers -> names of the classes.
        schema: Of the table.
        rows: Number of rows of all files.
        findings: Columns of one name, and of several types.
    """

    images: dict[Path, str]
    kept: dict[str, str]
    classes: dict[str, pa.Array]
    schema: pa.Schema
    rows: int
    findings: list[dict[str, Any]]


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
    findings: list[dict[str, Any]] = []
    for path in files:
        with told(path), opened(path) as file:
            schemas.append(flat_schema(file.schema_arrow))
            features = {**features_of(file.schema_arrow), **features}
            rows += file.metadata.num_rows
            findings += repeated_finding(path.name, repeated_columns(file.schema_arrow))
        pictures |= set(embedded_columns(path))
    others, differing = _united(files, schemas, without=pictures)
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
    findings += [types_differ(name, types) for name, types in differing.items() if name not in classes]
    return Layout(images=images, kept=kept, classes=classes, schema=pa.schema(fields), rows=rows, findings=findings)


def _united(
    files: Sequence[Path], schemas: Sequence[pa.Schema], *, without: set[str]
) -> tuple[pa.Schema, dict[str, list[str]]]:
    """All columns but those with pictures, each of a type that holds the values of every file.

    Also the types of each column that becomes text, since no other type holds them all.
    """
    types: dict[str, dict[pa.DataType, Path]] = {}
    for path, schema in zip(files, schemas, strict=True):
        for column in schema:
            if column.name not in without:
                types.setdefault(column.name, {}).setdefault(_plain(column.type), path)
    united, differing = [], {}
    for name, kinds in types.items():
        try:
            each = [pa.schema([pa.field(name, kind)]) for kind in kinds]
            united.append(pa.unify_schemas(each, promote_options="permissive").field(name))
        except (pa.ArrowException, ValueError):
            odd = next((kind for kind in kinds if not _has_text(kind)), None)
            if odd is not None:
                other = next(kind for kind in kinds if kind != odd)
                raise CatalogError(
                    f"{kinds[odd]}: column '{name}' is {odd}, but {other} in {kinds[other]}; give it one type"
                ) from None
            united.append(pa.field(name, pa.string()))
            differing[name] = [str(kind) for kind in kinds]
    return pa.schema(united), differing


def _has_text(kind: pa.DataType) -> bool:
    """Whether each value of a type can be written as text."""
    return not (pa.types.is_nested(kind) or is_bytes(kind))


def _plain(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def _image_column(path: Path, wanted: str | None) -> str:
    found = embedded_columns(path)
    if not found:
        with told(path), opened(path) as file:
            names = file.schema_arrow.names
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

"""Source of images that a CSV or Parquet table names and describes."""

import posixpath
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from simtrain.catalog.images import IMAGE_SUFFIXES
from simtrain.catalog.sources.source import (
    COMPUTED,
    PARTS,
    Source,
    boolean_of,
    products_from_paths,
    source_rows,
    split_of,
    text_of,
)
from simtrain.catalog.sources.table_file import read_table_file
from simtrain.config import ColumnsConfig
from simtrain.errors import CatalogError, nearest

_TAKEN = (*PARTS, *COMPUTED)


def read_table_source(path: Path, *, columns: ColumnsConfig, root: Path | None, product_pattern: str | None) -> Source:
    """Read a `.csv` or `.parquet` table with one row per image, in its own order.

    A column that plays a part by another name stays under its own name too, unless that is the name of a part. A column
    that nothing uses, but whose name the catalogue needs for something else, is kept as `source_NAME`.
    Rows are counted from 1 below the header.

    Args:
        path: The table.
        columns: Which column plays which part.
        root: Folder that the paths start from; null: the table's own.
        product_pattern: Regular expression whose one group gives the product from the path; null: none.

    Raises:
        CatalogError: for columns that are not there, paths outside the root, ids that are not unique, values that a
            part does not allow.
    """
    wanted = {part: name for part, name in columns.model_dump().items() if name is not None}
    frame = read_table_file(path, text_columns={*PARTS, *wanted.values()})
    names = [str(name) for name in frame.columns]
    used = _columns_in_use(path, names, wanted=wanted)
    folder = (root if root is not None else path.parent).resolve()
    if not folder.is_dir():
        raise CatalogError(f"{folder}: no such folder; the paths of {path} start from it (root)")
    parts = _parts(path, frame, used=used, root=folder)
    if product_pattern is not None:
        if "product" in used:
            raise CatalogError(
                f"{path}: both product_pattern and column '{used['product']}' give the product; keep one"
            )
        parts["product"] = products_from_paths(parts["path"], pattern=product_pattern)
    further, findings = _further(frame, used=used)
    return Source(rows=source_rows(parts, further), root=folder, findings=findings)


def _columns_in_use(table: Path, names: Sequence[str], *, wanted: Mapping[str, str]) -> dict[str, str]:
    """The column of each part that the table gives: the named ones, else one of the part's own name that is free."""
    if wanted["path"] not in names:
        raise CatalogError(_no_path_column(table, names, wanted=wanted["path"]))
    for part, name in wanted.items():
        if name not in names:
            hint = nearest(name, names) or f"; it has {', '.join(names)}"
            raise CatalogError(f"{table}: columns.{part}: no column '{name}'{hint}")
    free = set(names) - set(wanted.values())
    return dict(wanted) | {part: part for part in PARTS if part not in wanted and part in free}


def _no_path_column(table: Path, names: Sequence[str], *, wanted: str) -> str:
    message = f"{table}: no column '{wanted}' with the image files; it has {', '.join(names)}"
    if len(names) == 1 and any(separator in names[0] for separator in ";\t|"):
        return f"{message}; are its fields separated by something else than commas?"
    for name, values in read_table_file(table, text_columns=names).items():
        head = [str(value).lower() for value in values.dropna().head(20)]
        if head and all(value.endswith(tuple(IMAGE_SUFFIXES)) for value in head):
            return f"{message}; '{name}' looks like image files: --set columns.path={name}"
    return message


def _parts(table: Path, frame: pd.DataFrame, *, used: Mapping[str, str], root: Path) -> dict[str, Sequence[Any]]:
    parts: dict[str, Sequence[Any]] = {}
    for part, name in used.items():
        places = [f"{table}: row {row}: {name}" for row in range(1, len(frame) + 1)]
        cells = list(zip(frame[name].tolist(), places, strict=True))
        if part in ("query", "gallery"):
            parts[part] = [boolean_of(value, where=place) for value, place in cells]
            continue
        texts = [text_of(value, where=place) for value, place in cells]
        if part == "split":
            parts[part] = [split_of(text, where=place) for text, place in zip(texts, places, strict=True)]
        elif part == "path":
            parts[part] = [_relative(text, root=root, where=place) for text, place in zip(texts, places, strict=True)]
        else:
            parts[part] = texts
    _refuse_repeated_ids(table, parts.get("id", parts["path"]), name=used.get("id"))
    return parts


def _relative(text: str | None, *, root: Path, where: str) -> str:
    """The path below the root, as POSIX; where it leads elsewhere, also by a symbolic link, it is refused."""
    if text is None:
        raise CatalogError(f"{where} is empty")
    if "://" in text:
        raise CatalogError(f"{where}: '{text}' is not a local file; download the images and give their paths")
    try:
        if "\\" in text and not (root / text).exists():
            text = text.replace("\\", "/")  # tables written on Windows
        given = Path(posixpath.normpath((root / text).as_posix()))
        target = (root / text).resolve()
    except (ValueError, OSError, RuntimeError) as error:  # a NUL character, a link to itself
        raise CatalogError(f"{where}: '{text}' cannot be a path: {error}") from None
    if not target.is_relative_to(root):
        raise CatalogError(
            f"{where}: '{text}' lies outside {root}; --set root=FOLDER names another folder to start from"
        )
    return (given if given.is_relative_to(root) else target).relative_to(root).as_posix()


def _refuse_repeated_ids(table: Path, ids: Sequence[str | None], *, name: str | None) -> None:
    first: dict[str, int] = {}
    for row, identifier in enumerate(ids, start=1):
        if identifier is None:
            raise CatalogError(f"{table}: row {row}: {name} is empty; every image needs an id of its own")
        if identifier in first:
            what = "id" if name is not None else "path"
            hint = "" if name is not None else "; a column of unique ids can be named with --set columns.id=NAME"
            raise CatalogError(f"{table}: rows {first[identifier]} and {row} have the same {what} '{identifier}'{hint}")
        first[identifier] = row


def _further(frame: pd.DataFrame, *, used: Mapping[str, str]) -> tuple[dict[str, pd.Series], list[dict[str, Any]]]:
    further: dict[str, pd.Series] = {}
    findings: list[dict[str, Any]] = []
    for name in map(str, frame.columns):
        if name not in _TAKEN:
            further[name] = frame[name]
        elif name not in used.values():
            kept_as = f"source_{name}"
            while kept_as in frame.columns:
                kept_as = f"source_{kept_as}"
            further[kept_as] = frame[name]
            reason = f"the catalogue's own '{name}' takes its name"
            findings.append({"kind": "renamed_column", "column": name, "kept_as": kept_as, "reason": reason})
    return further, findings

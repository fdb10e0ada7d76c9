"""Tables and texts that lie beside the images of a folder and describe them."""

import posixpath
import shlex
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from simtrain.catalog.ownership import has_our_mark
from simtrain.catalog.sources.csv_dialect import Dialect
from simtrain.catalog.sources.likely_columns import likely_columns
from simtrain.catalog.sources.table_file import read_table_file
from simtrain.catalog.sources.walk import Listing
from simtrain.errors import CatalogError
from simtrain.phrases import listed

_MOST_TABLES = 20
_LARGEST_TABLE = 200 << 20
_SAMPLE = 500
_LEAST = 0.5


@dataclass(frozen=True, kw_only=True)
class SideTable:
    """A table that names images of the folder that it lies in.

    Attributes:
        path: Relative to the folder.
        column: The column that names the images.
        images: How many of them its rows name, of those that were looked at.
        start: Folder that its paths start from, relative to the folder; `.` is the folder itself.
        anywhere: Whether the images of its names lie in several folders.
        columns: All its columns.
    """

    path: str
    column: str
    images: int
    start: str
    anywhere: bool
    columns: list[str]


def side_tables(listing: Listing, *, dialect: Dialect) -> list[SideTable]:
    """The tables below a folder that name its images, the one that names most first."""
    names = _Names(listing.images)
    found = []
    for path in listing.tables[:_MOST_TABLES]:
        file = listing.root / path
        try:
            if file.stat().st_size > _LARGEST_TABLE or (file.suffix == ".parquet" and has_our_mark(file)):
                continue
            frame = read_table_file(file, text_columns=(), dialect=dialect).frame
        except (CatalogError, OSError):
            continue  # no table of ours: it stays among the files that are not looked at
        table = _naming_table(path, frame, names)
        if table is not None:
            found.append(table)
    return sorted(found, key=lambda table: (-table.images, table.path))


def side_table_findings(tables: Sequence[SideTable], *, source: str, output: Path) -> list[dict[str, Any]]:
    """A finding for each table, or for all of one file name and columns, with the command that reads it."""
    groups: dict[tuple[str, ...], list[SideTable]] = defaultdict(list)
    for table in tables:
        groups[posixpath.basename(table.path), *table.columns].append(table)
    found = []
    for group in groups.values():
        table, images = group[0], sum(one.images for one in group)
        others = [name for name in table.columns if name != table.column]
        has = f" and has {listed(others, at_most=6)}" if others else ""
        named = table.path if len(group) == 1 else posixpath.basename(table.path)
        where = "" if len(group) == 1 else f" in {len(group)} folders"
        command = _command(table, named, source=source, output=output)
        message = f"{named}{where} names {images} of these images{has}; it is not read. To read it: {command}"
        told = {"path": named, "images": images, "command": command, "message": message}
        found.append({"kind": "side_table", **told})
    return found


def _command(table: SideTable, named: str, *, source: str, output: Path) -> str:
    settings = [f"table={named}"]
    if table.column != "path":
        settings.append(f"columns.path={table.column}")
    likely = likely_columns(table.columns, taken=[table.column])
    settings += [f"columns.{part}={name}" for part, name in likely.items() if name != part]
    words = ["simtrain", "prepare", source, "--out", str(output)]
    for setting in settings:
        words += ["--set", setting]
    return shlex.join(words)


class _Names:
    """Images by path, by file name and by file name without suffix."""

    def __init__(self, images: Sequence[str]) -> None:
        self.paths = set(images)
        self.by_name: dict[str, list[str]] = defaultdict(list)
        self.by_stem: dict[str, list[str]] = defaultdict(list)
        for path in images:
            name = posixpath.basename(path)
            self.by_name[name].append(path)
            self.by_stem[posixpath.splitext(name)[0]].append(path)

    def of(self, value: str, *, folder: str) -> tuple[str, str] | None:
        """The image that a value names, and how: `path`, `name` or `stem`."""
        text = posixpath.normpath(value.strip().replace("\\", "/"))
        for start in dict.fromkeys((folder, "")):
            path = posixpath.normpath(posixpath.join(start, text))
            if path in self.paths:
                return path, "path"
        name = posixpath.basename(text)
        for how, known in (("name", self.by_name), ("stem", self.by_stem)):
            if len(known.get(name, [])) == 1:
                return known[name][0], how
        return None


def _naming_table(path: str, frame: pd.DataFrame, names: _Names) -> SideTable | None:
    folder = posixpath.dirname(path)
    best: SideTable | None = None
    for column in frame.columns:
        values = _texts(frame[column])
        if not values or len(set(values[:_SAMPLE])) < _LEAST * len(values[:_SAMPLE]):
            continue
        hits = [hit for value in values[:_SAMPLE] if (hit := names.of(value, folder=folder)) is not None]
        by_stem = any(how == "stem" for _, how in hits)
        if len(hits) < (0.9 if by_stem else _LEAST) * len(values[:_SAMPLE]):
            continue
        found = {hit[0]: value for value in values if (hit := names.of(value, folder=folder)) is not None}
        if best is None or len(found) > best.images:
            start, anywhere = _start(found)
            columns = [str(name) for name in frame.columns]
            best = SideTable(
                path=path, column=str(column), images=len(found), start=start, anywhere=anywhere, columns=columns
            )
    return best


def _start(found: Mapping[str, str]) -> tuple[str, bool]:
    """Folder that the values start from; the folder itself and True where they start from several."""
    starts = set()
    for image, value in found.items():
        text = posixpath.normpath(value.strip().replace("\\", "/"))
        stem = posixpath.splitext(image)[0]
        if image == text or stem == text:
            starts.add(".")
        elif image.endswith(f"/{text}"):
            starts.add(image[: -len(text) - 1])
        elif stem.endswith(f"/{text}"):
            starts.add(stem[: -len(text) - 1])
        else:
            starts.add("*")
    return (next(iter(starts)), False) if len(starts) == 1 and "*" not in starts else (".", True)


def _texts(values: pd.Series) -> list[str]:
    """Values as a person would write them; of columns that can name files only."""
    kind = values.dropna()
    if pd.api.types.is_bool_dtype(kind.dtype) or pd.api.types.is_float_dtype(kind.dtype):
        return []
    return [str(value) for value in kind.tolist() if isinstance(value, str | int)]

"""Extraction of images embedded in Parquet files, as Hugging Face's `datasets` writes them, to files and a table."""

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from simtrain.catalog.sources.source import known_split
from simtrain.console import Console
from simtrain.errors import CatalogError, first_line
from simtrain.files import whole_file

ROWS_FILE = "rows.parquet"
_BATCH_ROWS, _READ_BYTES = 32, 1 << 20
_MAGIC = {
    b"\xff\xd8\xff": ".jpg",
    b"\x89PNG\r\n\x1a\n": ".png",
    b"GIF8": ".gif",
    b"II*\0": ".tif",
    b"MM\0*": ".tif",
}
_UNKNOWN = ".bin"


def embedded_columns(path: Path) -> list[str]:
    """Columns of a Parquet file that hold pictures: structs of `bytes` and `path`, and bytes that begin like a picture.

    Reads the schema and, of columns of bytes, the first value of the first row group.

    Raises:
        CatalogError: if it is no Parquet file.
    """
    with _told(path), _opened(path) as file:
        features = _features(file.schema_arrow)
        return [
            column.name
            for column in file.schema_arrow
            if (_is_image_struct(column.type) and features.get(column.name, {}).get("_type", "Image") == "Image")
            or (_is_bytes(column.type) and _begins_like_a_picture(file, column.name))
        ]


def embedded_files(folder: Path) -> list[Path]:
    """The Parquet files with pictures inside that lie in a folder or its `data`, sorted; [] if there are none.

    Raises:
        CatalogError: if there are some, and others that cannot be read.
    """
    found, unreadable = [], []
    for path in sorted([*folder.glob("*.parquet"), *folder.glob("data/*.parquet")]):
        try:
            if path.is_file() and not path.name.startswith(".") and embedded_columns(path):
                found.append(path)
        except CatalogError as error:
            unreadable.append(error)
    if found and unreadable:
        raise unreadable[0]
    return found


def extract_embedded(files: Sequence[Path], folder: Path, *, image_column: str | None, console: Console) -> Path:
    """Write each row's picture, byte for byte, to `images/<split or all>/<row>.<suffix>`, and the rest to a table.

    A row whose bytes are null takes the file that its stored path names, if that lies beside the Parquet file or
    below; otherwise it gets an empty file, so that whoever reads the pictures finds and tells it. Stored paths never
    decide where something is written. The same files give the same bytes; memory holds a few pages.

    Args:
        files: Parquet files of one schema; one whose name begins with a split (`train-00000-of-00003.parquet`,
            `validation.parquet`) tells it.
        folder: Made if missing; files of these names are replaced. The table comes last.
        image_column: Column with the pictures; null: the only one.
        console: Shows how many rows have been written.

    Returns:
        `rows.parquet` in the folder: `path`; `split` where a file's name tells it and the rows don't; `source_path`,
        the stored path; then all other columns but those with pictures, class numbers replaced by their names. A
        column whose name is taken becomes `source_NAME`.

    Raises:
        CatalogError: for files that cannot be read or differ in their columns, for no or several columns of pictures
            where none is named, and if `folder` cannot be written.
    """
    layout = _layout(files, image_column=image_column)
    table = folder / ROWS_FILE
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with whole_file(table) as temporary, pq.ParquetWriter(temporary.absolute(), layout.schema) as writer:
            rows = _extract(files, folder, layout=layout, writer=writer)
            for _ in console.bar(rows, layout.rows, "extracting images"):
                pass
    except OSError as error:
        raise CatalogError(f"{folder}: cannot be written to: {error.strerror or first_line(error)}") from None
    return table


@dataclass(frozen=True, kw_only=True)
class _Layout:
    """What becomes of which column; `kept` and `classes` by the source's names."""

    image: str
    kept: dict[str, str]
    classes: dict[str, pa.Array]
    schema: pa.Schema
    rows: int


@contextmanager
def _told(path: Path) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        raise CatalogError(f"{path}: cannot be read as Parquet: {first_line(error)}") from None


def _opened(path: Path) -> pq.ParquetFile:
    # Without a buffer whole row groups fill the memory; a relative `shop:v2/x` is an address to pyarrow.
    return pq.ParquetFile(path.absolute(), buffer_size=_READ_BYTES, pre_buffer=False)


def _features(schema: pa.Schema) -> dict[str, dict[str, Any]]:
    """What `datasets` says of the columns; empty where it says nothing."""
    try:
        features = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
        return {name: feature for name, feature in features.items() if isinstance(feature, dict)}
    except (KeyError, ValueError, TypeError, AttributeError):
        return {}


def _is_bytes(kind: pa.DataType) -> bool:
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_binary_view(kind))


def _is_image_struct(kind: pa.DataType) -> bool:
    if not pa.types.is_struct(kind):
        return False
    types = {inner.name: inner.type for inner in kind}
    return "path" in types and "bytes" in types and _is_bytes(types["bytes"])


def _begins_like_a_picture(file: pq.ParquetFile, column: str) -> bool:
    groups = range(min(1, file.num_row_groups))
    for batch in file.iter_batches(batch_size=_BATCH_ROWS, row_groups=groups, columns=[column]):
        for value in batch.column(0).drop_null().slice(0, 1).to_pylist():
            return picture_suffix(value) != _UNKNOWN
    return False


def picture_suffix(content: bytes) -> str:
    """The suffix of an image file by its first bytes; `.bin` for anything else."""
    for magic, suffix in _MAGIC.items():
        if content.startswith(magic):
            return suffix
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return ".webp"
    if content[:2] == b"BM" and content[6:10] == bytes(4):  # two letters are few; the next fields are reserved
        return ".bmp"
    return _UNKNOWN


def _layout(files: Sequence[Path], *, image_column: str | None) -> _Layout:
    image = _image_column(files[0], image_column)
    schemas, rows = [], 0
    for path in files:
        with _told(path), _opened(path) as file:
            schemas.append(file.schema_arrow)
            rows += file.metadata.num_rows
    for path, schema in zip(files, schemas, strict=True):
        if differing := {column.name for column in set(schema) ^ set(schemas[0])}:
            raise CatalogError(f"{path}: other columns or types than in {files[0]}: {', '.join(sorted(differing))}")
    schema, features = schemas[0], _features(schemas[0])
    pictures = embedded_columns(files[0])
    others = [column for column in schema if column.name not in pictures]
    added = ["path"]
    if any(_told_split(path) for path in files) and "split" not in schema.names:
        added.append("split")
    if _is_image_struct(schema.field(image).type):
        added.append("source_path")
    kept = _kept_names([column.name for column in others], taken=added)
    classes = {
        column.name: _text(features[column.name]["names"])
        for column in others
        if features.get(column.name, {}).get("_type") == "ClassLabel" and features[column.name].get("names")
    }
    fields = [pa.field(name, pa.string()) for name in added]
    fields += [pa.field(kept[c.name], pa.string() if c.name in classes else c.type) for c in others]
    return _Layout(image=image, kept=kept, classes=classes, schema=pa.schema(fields), rows=rows)


def _image_column(path: Path, wanted: str | None) -> str:
    found = embedded_columns(path)
    with _told(path), _opened(path) as file:
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


def _told_split(path: Path) -> str | None:
    return known_split(re.split(r"[-_.]", path.name)[0])


def _extract(files: Sequence[Path], folder: Path, *, layout: _Layout, writer: pq.ParquetWriter) -> Iterator[int]:
    """The rows' numbers, each after its picture is written; a file's table follows its last picture."""
    row = 0
    for source in files:
        split = _told_split(source)
        pictures = folder / "images" / (split or "all")
        pictures.mkdir(parents=True, exist_ok=True)
        batches = []
        with _opened(source) as file:
            for batch in _batches(source, file):
                contents, stored = _embedded(batch.column(layout.image))
                paths: list[str] = []
                for content, stored_path in zip(contents, stored, strict=True):
                    path = _write_picture(pictures / f"{row:08d}", content, stored_path, beside=source.parent)
                    paths.append(path.relative_to(folder).as_posix())
                    yield row
                    row += 1
                added = {"path": _text(paths), "split": _text([split] * len(paths)), "source_path": _text(stored)}
                batches.append(_rows(batch, added, layout=layout, source=source))
        writer.write_table(pa.Table.from_batches(batches, schema=layout.schema))


def _batches(path: Path, file: pq.ParquetFile) -> Iterator[pa.RecordBatch]:
    batches = file.iter_batches(batch_size=_BATCH_ROWS)
    while True:
        with _told(path):
            batch = next(batches, None)
        if batch is None:
            return
        yield batch


def _embedded(column: pa.Array) -> tuple[list[bytes | None], list[str | None]]:
    """Pictures and their stored paths."""
    if not pa.types.is_struct(column.type):
        return column.to_pylist(), [None] * len(column)
    return pc.struct_field(column, "bytes").to_pylist(), pc.struct_field(column, "path").to_pylist()


def _write_picture(stem: Path, content: bytes | None, stored_path: str | None, *, beside: Path) -> Path:
    if content is None and (source := _file_beside(beside, stored_path)) is not None:
        content = source.read_bytes()
    path = stem.with_suffix(picture_suffix(content or b""))
    path.write_bytes(content or b"")
    return path


def _file_beside(folder: Path, stored_path: str | None) -> Path | None:
    try:
        path = (folder / (stored_path or "")).resolve(strict=True)
    except (OSError, ValueError, RuntimeError):  # not there, a NUL character, a link to itself
        return None
    return path if path.is_file() and path.is_relative_to(folder.resolve()) else None


def _text(values: Sequence[str | None]) -> pa.Array:
    return pa.array(values, type=pa.string())


def _rows(batch: pa.RecordBatch, added: dict[str, pa.Array], *, layout: _Layout, source: Path) -> pa.RecordBatch:
    columns = dict(added)
    for name, kept_as in layout.kept.items():
        columns[kept_as] = batch.column(name)
        if name in layout.classes:
            columns[kept_as] = _class_names(source, name, columns[kept_as], layout.classes[name])
    return pa.RecordBatch.from_arrays([columns[name] for name in layout.schema.names], schema=layout.schema)


def _class_names(source: Path, column: str, numbers: pa.Array, names: pa.Array) -> pa.Array:
    """Names for numbers; null for null and for -1, which stands for a hidden label."""
    known = pc.if_else(pc.less(numbers, 0), None, numbers)
    largest = pc.max(known).as_py()
    if largest is not None and largest >= len(names):
        raise CatalogError(f"{source}: {column}: has a class {largest}, but names for {len(names)}")
    return names.take(known)

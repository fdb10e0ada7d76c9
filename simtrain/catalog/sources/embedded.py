"""Extraction of images embedded in Parquet files, as Hugging Face's `datasets` writes them, to files and a table."""

from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from simtrain.catalog.picture_kinds import HEAD_BYTES, picture_suffix
from simtrain.catalog.sources.embedded_columns import (
    BATCH_ROWS,
    embedded_columns,
    flat_batch,
    is_list,
    opened,
    told,
)
from simtrain.catalog.sources.embedded_layout import EmbeddedFiles, Layout, layout_of, split_of_file
from simtrain.console import Console
from simtrain.errors import CatalogError, system_reason
from simtrain.files import whole_file
from simtrain.mistaken import mistaken
from simtrain.phrases import listed, shortened

ROWS_FILE = "rows.parquet"
_UNKNOWN = ".bin"


def embedded_files(root: Path, tables: Sequence[str]) -> EmbeddedFiles:
    """The Parquet files with pictures inside, of those that lie below a folder.

    Args:
        root: The folder.
        tables: POSIX paths of tables below it; those that are no `.parquet` are passed over.
    """
    found, problems = [], []
    for table in sorted(tables, key=lambda path: PurePosixPath(path).parts):
        path = root / table
        if path.suffix.lower() != ".parquet":
            continue
        try:
            if embedded_columns(path):
                found.append(path)
        except CatalogError as error:
            problems.append((table, str(error).removeprefix(f"{path}: ")))
    return EmbeddedFiles(files=found, root=root, problems=problems)


def refuse_unknown_pictures(root: Path, tables: Sequence[str]) -> None:
    """Say what the Parquet files of a folder without images hold, where that is no picture that is known.

    Raises:
        CatalogError: with the columns of the first of them.
    """
    if (instead := mistaken(root, expected="source")) is not None:
        raise CatalogError(instead)
    for table in tables:
        if table.lower().endswith(".parquet"):
            with told(root / table), opened(root / table) as file:
                columns = [f"{column.name} ({column.type})" for column in file.schema_arrow]
            raise CatalogError(
                f"{root / table}: no column holds pictures that are known (bytes of an image file, or structs or lists "
                f"of them); it has {shortened(', '.join(columns), to=300)}"
            )


def other_pictures(embedded: EmbeddedFiles, *, image_column: str | None) -> list[dict[str, Any]]:
    """A finding where columns of pictures beside the chosen one are not read."""
    others = sorted({name for path in embedded.files for name in embedded_columns(path)} - {image_column})
    if image_column is None or not others:
        return []
    message = f"not read: the pictures of {listed(others)}; only those of '{image_column}' are (columns.path)"
    return [{"kind": "pictures_not_read", "files": 0, "suffixes": {}, "examples": others[:1], "message": message}]


def extract_embedded(embedded: EmbeddedFiles, folder: Path, *, image_column: str | None, console: Console) -> Path:
    """Write each row's pictures, byte for byte, to `images/<split or all>/<number>.<suffix>`, the rest to a table.

    A row whose bytes are null takes the file that its stored path names, if that lies beside the Parquet file or
    below; otherwise it gets an empty file, so that whoever reads the pictures finds and tells it. Stored paths never
    decide where something is written. The same files give the same bytes; memory holds a few pages.

    Args:
        embedded: Parquet files; a column of several types that no type holds becomes text. A file whose name begins
            with a split (`train-00000-of-00003.parquet`, `validation.parquet`) tells it, or else a folder that it lies
            in.
        folder: Made if missing; files of these names are replaced. The table comes last.
        image_column: Column with the pictures; null: the only one.
        console: Shows how many rows have been written.

    Returns:
        `rows.parquet` in the folder: `path`; `split` where a file's name tells it and the rows don't; `source_path`,
        the stored path; `source_row`, the row's number from 0, where rows hold lists of pictures, each of which becomes
        a row; then all other columns but those with pictures, class numbers replaced by their names. A column whose
        name is taken becomes `source_NAME`.

    Raises:
        CatalogError: for files that cannot be read or united, for no or several columns of pictures where none is
            named, and if `folder` cannot be written.
    """
    layout = layout_of(embedded, image_column=image_column)
    table = folder / ROWS_FILE
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with whole_file(table) as temporary, pq.ParquetWriter(temporary.absolute(), layout.schema) as writer:
            rows = _extract(embedded, folder, layout=layout, writer=writer)
            for _ in console.bar(rows, layout.rows, "extracting images"):
                pass
    except OSError as error:
        raise CatalogError(f"{folder}: cannot be written to: {system_reason(error)}") from None
    return table


def _suffix(content: bytes) -> str:
    return picture_suffix(content[:HEAD_BYTES]) or _UNKNOWN


def _extract(embedded: EmbeddedFiles, folder: Path, *, layout: Layout, writer: pq.ParquetWriter) -> Iterator[int]:
    """The rows' numbers, each after its pictures are written; a file's table follows its last picture."""
    row = number = 0
    for source in embedded.files:
        split = split_of_file(source, embedded.root)
        pictures = folder / "images" / (split or "all")
        pictures.mkdir(parents=True, exist_ok=True)
        batches = []
        with opened(source) as file:
            for batch in _batches(source, file):
                contents, stored, rows = _embedded(batch.column(layout.images[source]))
                paths: list[str] = []
                for content, stored_path in zip(contents, stored, strict=True):
                    path = _write_picture(pictures / f"{number:08d}", content, stored_path, beside=source.parent)
                    paths.append(path.relative_to(folder).as_posix())
                    number += 1
                added = {
                    "path": _text(paths),
                    "split": _text([split] * len(paths)),
                    "source_path": _text(stored),
                    "source_row": pa.array([row + one for one in rows], type=pa.int64()),
                }
                batches.append(_rows(batch.take(pa.array(rows, type=pa.int64())), added, layout=layout, source=source))
                yield from range(row, row + batch.num_rows)
                row += batch.num_rows
        writer.write_table(pa.Table.from_batches(batches, schema=layout.schema))


def _batches(path: Path, file: pq.ParquetFile) -> Iterator[pa.RecordBatch]:
    batches = file.iter_batches(batch_size=BATCH_ROWS)
    while True:
        with told(path):
            batch = next(batches, None)
        if batch is None:
            return
        yield flat_batch(batch)


def _embedded(column: pa.Array) -> tuple[list[bytes | None], list[str | None], list[int]]:
    """Pictures, their stored paths and the row of each; a row without any has one that is null."""
    values: list[Any] = column.to_pylist()
    cells = [(value, row) for row, value in enumerate(values)]
    if is_list(column.type):
        cells = [(one, row) for row, value in enumerate(values) for one in (value or [None])]
    rows = [row for _, row in cells]
    contents = [value["bytes"] if isinstance(value, dict) else value for value, _ in cells]
    stored = [value["path"] if isinstance(value, dict) else None for value, _ in cells]
    return contents, stored, rows


def _write_picture(stem: Path, content: bytes | None, stored_path: str | None, *, beside: Path) -> Path:
    if content is None and (source := _file_beside(beside, stored_path)) is not None:
        content = source.read_bytes()
    path = stem.with_suffix(_suffix(content or b""))
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


def _rows(batch: pa.RecordBatch, added: dict[str, pa.Array], *, layout: Layout, source: Path) -> pa.RecordBatch:
    columns = dict(added)
    for name, kept_as in layout.kept.items():
        kind = layout.schema.field(kept_as).type
        column = batch.column(name) if name in batch.schema.names else pa.nulls(batch.num_rows)
        if name in layout.classes and pa.types.is_integer(column.type):
            column = _class_names(source, name, column, layout.classes[name])
        columns[kept_as] = column if column.type == kind else column.cast(kind)
    return pa.RecordBatch.from_arrays([columns[name] for name in layout.schema.names], schema=layout.schema)


def _class_names(source: Path, column: str, numbers: pa.Array, names: pa.Array) -> pa.Array:
    """Names for numbers; null for null and for -1, which stands for a hidden label."""
    known = pc.if_else(pc.less(numbers, 0), None, numbers)
    largest = pc.max(known).as_py()
    if largest is not None and largest >= len(names):
        raise CatalogError(f"{source}: {column}: has a class {largest}, but names for {len(names)}")
    return names.take(known)

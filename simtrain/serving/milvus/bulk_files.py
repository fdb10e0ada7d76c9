"""Parquet files that a Milvus imports by itself: many millions of items without a request for each thousand."""

# Shapes: N items of a block, D dimensions of the embedding.

from __future__ import annotations

import json
import logging
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from simtrain.console import Console
from simtrain.errors import SimtrainError, system_reason
from simtrain.files import replace_folder, staging_folder, write_json
from simtrain.output_folders import why_not_writable
from simtrain.parquet import row_count
from simtrain.serving.milvus.collection import Described, schema_of
from simtrain.serving.milvus.connection import MilvusAddress, connected, milvus_errors
from simtrain.serving.milvus.fields import HASH_FIELD, ID_FIELD, VECTOR_FIELD, values_of
from simtrain.serving.milvus.publishing import READ_ROWS, blocks_shown, row_hash, standing_collection
from simtrain.serving.milvus.source import PublishedSource

SCHEMA_FILE = "schema.json"
_FILE_BYTES = 64 * 2**20  # of items in memory; a file of floats is about as large
_NEVER_BY_ITSELF = 2**62  # its own way to begin another file sleeps for a second, and loses errors


@dataclass(frozen=True, kw_only=True)
class BulkFiles:
    """Files for an import.

    Attributes:
        folder: Where they are.
        names: Their names.
        items: Number of items in them.
        alias: Name that searches will use.
        collection: The empty collection that they are for.
        address: Address of the Milvus, as the user wrote it.
        uri: The same for pymilvus.
        cut_texts: Number of texts that were cut at the longest that Milvus takes.
    """

    folder: Path
    names: list[str]
    items: int
    alias: str
    collection: str
    address: str
    uri: str
    cut_texts: int


def write_bulk_files(
    source: PublishedSource, address: MilvusAddress, folder: Path, *, alias: str, index: str, console: Console
) -> BulkFiles:
    """Write the items of a source as files, and make the empty collection that Milvus is to import them into.

    `publish_items` then finds every item there, and gives the collection its name for searches.

    Args:
        source: Items and embeddings.
        address: Where the Milvus is.
        folder: Folder for the files, `part-00001.parquet` and so on, and `schema.json`: the collection and its fields.
            Files of an earlier call are replaced.
        alias: Name for searches.
        index: One of `INDEX_TYPES`.
        console: Shows how many items are done.

    Raises:
        SimtrainError: if pymilvus's writer is not installed, something else is in the folder, or the collection holds
            items already.
    """
    library = _library()
    _check_folder(folder)
    with connected(address, must_exist=False) as client:
        there = standing_collection(client, source, address, alias=alias, index=index)
        count = int(client.query(there.name, filter="", output_fields=["count(*)"])[0]["count(*)"])
    if count:
        raise SimtrainError(
            f"--bulk-files: '{alias}' in {address.text} holds {count} of these items, or of earlier ones; without "
            "--bulk-files only what is new or has changed is written"
        )
    target = folder.resolve()
    try:
        with staging_folder(target) as work, milvus_errors(str(folder)):
            writer = library.LocalBulkWriter(
                schema=schema_of(there.described),
                local_path=str(work),
                chunk_size=_NEVER_BY_ITSELF,
                file_type=library.BulkFileType.PARQUET,
            )
            items, cut = _append(writer, source, there.described, console=console)
            writer.commit()
            names = _named(work, [Path(file) for files in writer.batch_files for file in files])
            written = sum(row_count(work / name) for name in names)
            if written != items:  # its thread keeps errors for itself
                raise SimtrainError(f"{folder}: pymilvus wrote {written} of {items} items; is the disk full?")
            files = [f"{target.name}/{name}" for name in names]
            write_json(work / SCHEMA_FILE, _note(there.name, alias, there.described, files=files, items=items))
            replace_folder(work, target)
    except OSError as error:
        raise SimtrainError(f"{folder}: cannot be written: {system_reason(error)}") from None
    return BulkFiles(
        folder=folder,
        names=names,
        items=items,
        alias=alias,
        collection=there.name,
        address=address.text,
        uri=address.uri,
        cut_texts=cut,
    )


def _append(writer: Any, source: PublishedSource, described: Described, *, console: Console) -> tuple[int, int]:
    """How many items were written, and how many texts were cut."""
    items = cut = 0
    as_text = [field.name for field in described.fields if field.kind == "json"]
    for block, embeddings in blocks_shown(source, READ_ROWS, f"writing, in blocks of {READ_ROWS} items", console):
        rows, shortened = values_of(block, described.fields)
        cut += shortened
        items += len(rows)
        for row, embedding in zip(rows, embeddings, strict=True):
            digest = row_hash(row, embedding)
            texts = {name: json.dumps(row[name]) for name in as_text if row[name] is not None}
            writer.append_row({**row, **texts, HASH_FIELD: digest, VECTOR_FIELD: np.asarray(embedding, np.float32)})
            if writer.buffer_size >= _FILE_BYTES:
                writer.commit()
    return items, cut


def _named(work: Path, files: list[Path]) -> list[str]:
    """Move the files of the writer, which are in a folder of their own, beside each other."""
    names = []
    for number, file in enumerate(files, start=1):
        names.append(f"part-{number:05d}.parquet")
        file.rename(work / names[-1])
    for folder in {file.parent for file in files} - {work}:
        folder.rmdir()
    return names


def _note(name: str, alias: str, described: Described, *, files: list[str], items: int) -> dict[str, Any]:
    schema = schema_of(described).to_dict()
    fields = [{**field, "type": field["type"].name} for field in schema["fields"]]
    return {
        "collection": name,
        "alias": alias,
        "items": items,
        "files": files,
        "schema": {**schema, "fields": fields},
        "primary_key": ID_FIELD,
        "index": {"field": VECTOR_FIELD, "metric": "COSINE", **asdict(described.index)},
        "fingerprint": described.fingerprint,
    }


def _check_folder(folder: Path) -> None:
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise SimtrainError(f"--bulk-files {folder}: is no folder; name another")
    if folder.is_dir() and any(folder.iterdir()) and not (folder / SCHEMA_FILE).is_file():
        raise SimtrainError(f"--bulk-files {folder}: holds other files; name an empty or a new folder")
    reason = why_not_writable(folder.resolve().parent)
    if reason is not None:
        raise SimtrainError(f"--bulk-files {folder}: cannot be written: {reason}; name another folder")


def _library() -> Any:
    """The part of pymilvus that writes files; that it sets up logging for the whole process is undone."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    try:
        from pymilvus import bulk_writer
    except ModuleNotFoundError:
        raise SimtrainError("--bulk-files: needs the extra: pip install 'simtrain[milvus-bulk]'") from None
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
    return bulk_writer

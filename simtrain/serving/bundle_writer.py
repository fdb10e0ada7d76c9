"""Atomic writing of a bundle."""

# Shapes: N items, D dimensions of the embedding.

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from simtrain.encoders.arithmetic import Arithmetic
from simtrain.encoders.base import Encoder
from simtrain.errors import BundleError, system_reason
from simtrain.files import staging_folder
from simtrain.parquet import write_table
from simtrain.serving.bundle import (
    INDEX_FILE,
    ITEMS_FILE,
    ITEMS_METADATA_KEY,
    VECTORS_FILE,
)
from simtrain.serving.bundle_place import check_target, put_bundle
from simtrain.serving.encoder_writer import write_space
from simtrain.serving.export_format import ExportFormat
from simtrain.serving.golden_writer import reference_copy
from simtrain.serving.index_building import BuiltIndex, build_index
from simtrain.serving.index_factory import EXACT_FACTORY
from simtrain.serving.manifest import MANIFEST_FILE, hashes_of, library_versions, write_manifest
from simtrain.serving.picture_folders import PictureFolders
from simtrain.serving.search_settings import RECALL_DEPTH
from simtrain.serving.signature import SigningKey
from simtrain.serving.stored_vectors import VectorType, map_vectors, write_vectors
from simtrain.version import VERSION


@dataclass(frozen=True, kw_only=True)
class IndexSettings:
    """How the index of a bundle is built."""

    factory: str
    """A FAISS factory string; `Flat` is exact."""

    wanted_recall: float
    """Share of the 10 nearest items that a search of an approximate index is tuned to find, above 0 and below 1."""

    stored_as: VectorType
    """Type of the numbers of the vectors beside an approximate index, from which similarities are computed."""


@dataclass(frozen=True, kw_only=True)
class IndexedItems:
    """N items with a column `id`, and their (N, D) embeddings of unit length, in the same order."""

    items: pd.DataFrame
    embeddings: NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class BundleContent:
    """Everything that a bundle is written from."""

    encoder: Encoder
    """Network to export, in any mode and on any device; it is copied."""

    encoder_config: dict[str, Any]
    """The encoder's section of the run's configuration as plain values, `kind` among them."""

    code: dict[str, Any] | None
    """What must be importable to re-create the encoder with torch: the path of a class or function, its arguments, the
    SHA-256 of its file, package and version. None: nothing besides simtrain. `encoder.onnx` needs nothing."""

    embeddings: NDArray[np.float32]
    """(N, D) rows of length 1, made by this encoder."""

    arithmetic: Arithmetic
    """Arithmetic that they were made in; golden embeddings and searches are float32."""

    items: pd.DataFrame
    """N rows in the order of `embeddings`: `id` (unique text), `path` (below `root`) and any other column."""

    root: Path
    """Folder that the paths start from."""

    relocatable: bool
    """Whether the bundle can be given away: where `root` lies is noted beside it instead of in it."""

    run: dict[str, Any]
    """The run that it comes from: name, configuration, fingerprint of the data."""

    metrics: dict[str, Any]
    """The run's figures with their intervals."""

    thresholds: dict[str, Any] | None
    """Similarities of image queries that are similar enough: `levels`, each with `wanted_precision`, `similarity` (None
    where the precision cannot be promised, for its `reason`), `positives` and `negatives`, and what they were measured
    on, the columns of `relevance` among it. None: they were not measured."""

    no_thresholds: str | None
    """Why `thresholds` is None, as a sentence; None where they were measured."""

    index: IndexSettings
    """How the index is built."""


def write_bundle(
    content: BundleContent,
    folder: Path,
    *,
    formats: Sequence[ExportFormat],
    check: Callable[[Path], None] | None = None,
    sign: SigningKey | None = None,
) -> Path:
    """Write the whole bundle beside its place, then put it there; a bundle that is there already is replaced.

    A process killed in between leaves a hidden folder beside the target, and the target as it was. Of two that write
    the same bundle the later one's stays.

    Args:
        content: Encoder, embeddings, items and figures of the bundle.
        folder: The bundle's folder; missing parents are made.
        formats: Formats that the encoder is exported to besides its own weights; their packages are installed.
        sign: Key that its manifest is signed with; None: it is not.
        check: Looks at the complete bundle before it takes its place, and raises if it must not.

    Returns:
        The folder.

    Raises:
        BundleError: if something else is there, the index cannot be built, or the folder cannot be written.
        ValueError: for embeddings and items that do not go together.
    """
    check_target(folder, signed=sign is not None)
    _check_content(content)
    target = folder.resolve()
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with staging_folder(target) as work:
            _fill(work, content, formats=formats)
            if sign is not None:
                sign.sign(work / MANIFEST_FILE)
            if check is not None:
                check(work)
            put_bundle(
                work,
                target,
                pictures=PictureFolders(folders={"": content.root.resolve()} if content.relocatable else {}),
            )
    except OSError as error:
        raise BundleError(f"{folder}: cannot be written: {system_reason(error)}") from error
    return folder


def _check_content(content: BundleContent) -> None:
    expected = (len(content.items), content.encoder.embedding_size)
    if content.embeddings.shape != expected:
        raise ValueError(f"embeddings has shape {content.embeddings.shape}; items and encoder need {expected}")
    for column in ("id", "path"):
        if column not in content.items.columns or content.items[column].isna().any():
            raise ValueError(f"items needs the column '{column}' without gaps")
    if content.items["id"].duplicated().any():
        raise ValueError("items has an id more than once; allowed: unique ids")
    if (content.thresholds is None) == (content.no_thresholds is None):
        raise ValueError("give either thresholds, or no_thresholds: why there are none")


def _fill(folder: Path, content: BundleContent, *, formats: Sequence[ExportFormat]) -> None:
    encoder = reference_copy(content.encoder)
    description, fingerprint = write_space(folder, encoder, config=content.encoder_config)
    told = {each.file: each.write(encoder, folder / each.file) for each in formats}
    given = IndexedItems(items=content.items, embeddings=content.embeddings)
    index = write_index_and_items(folder, given, settings=content.index, fingerprint=fingerprint)
    manifest = {
        "created_by": f"simtrain {VERSION}",
        "encoder": description if content.code is None else {**description, "code": content.code},
        "preprocessing": encoder.preprocessing.to_dict(),
        "exports": {file: figures for file, figures in told.items() if figures is not None},
        "index": index,
        "embedding": content.arithmetic.to_dict(),
        "metrics": content.metrics,
        "thresholds": content.thresholds,
        "no_thresholds": content.no_thresholds,
        "libraries": library_versions(),
        "run": content.run,
        **({} if content.relocatable else {"image_root": content.root.resolve()}),
        "fingerprint": fingerprint,
        "files": hashes_of(folder),
    }
    write_manifest(folder, manifest)


def write_index_and_items(
    folder: Path, given: IndexedItems, *, settings: IndexSettings, fingerprint: str
) -> dict[str, Any]:
    """Write index and items, both in the order of ids, so that the order of rows breaks ties as ids do.

    Args:
        folder: An unfinished bundle.
        given: Items with their embeddings.
        settings: How the index is built.
        fingerprint: Name of the embedding space.

    Returns:
        What the manifest says of the index.
    """
    ids = given.items["id"].astype(str).tolist()
    order = sorted(range(len(ids)), key=ids.__getitem__)
    built = _write_index(folder, given.embeddings, settings=settings, order=order)
    table = pa.Table.from_pandas(given.items.iloc[order].reset_index(drop=True), preserve_index=False)
    note = json.dumps({"fingerprint": fingerprint}).encode()
    table = table.replace_schema_metadata({**(table.schema.metadata or {}), ITEMS_METADATA_KEY: note})
    write_table(table, folder / ITEMS_FILE)
    return {
        **_described(folder, built, wanted_recall=settings.wanted_recall),
        "fingerprint": fingerprint,
    }


def _write_index(
    folder: Path, embeddings: NDArray[np.float32], *, settings: IndexSettings, order: list[int]
) -> BuiltIndex:
    """An exact index holds the vectors themselves; beside an approximate one they lie in a file of their own."""
    factory, wanted_recall = settings.factory, settings.wanted_recall
    if factory == EXACT_FACTORY:
        built = build_index(embeddings, factory=factory, wanted_recall=wanted_recall, order=order)
    else:
        write_vectors(folder / VECTORS_FILE, embeddings, order=order, stored_as=settings.stored_as)
        vectors = map_vectors(folder / VECTORS_FILE, sha256=None)
        built = build_index(vectors, factory=factory, wanted_recall=wanted_recall)
    built.index.save(folder / INDEX_FILE)
    return built


def _described(folder: Path, built: BuiltIndex, *, wanted_recall: float) -> dict[str, Any]:
    """What the manifest says of the index; `search` of an approximate one only."""
    described = {
        "factory": built.index.factory,
        "metric": "cosine",
        "count": built.index.count,
        "recall_vs_exact": built.recall,
        "recall_depth": RECALL_DEPTH,
        "milliseconds_per_query": built.milliseconds,
        "bytes_per_vector": (folder / INDEX_FILE).stat().st_size / built.index.count,
    }
    if built.settings is None:
        return described
    return {
        **described,
        "recall_of_codes": built.recall_of_codes,
        "wanted_recall": wanted_recall,
        "held_out_queries": built.held_out,
        "stored_bytes_per_vector": (folder / VECTORS_FILE).stat().st_size / built.index.count,
        "search": built.settings.to_dict(),
    }

"""Protection of other people's files: `prepare` replaces its own results only."""

import re
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa

from simtrain.catalog.staging import PLAN_FILE, SHARDS_FOLDER, WORK_FOLDER
from simtrain.errors import CatalogError
from simtrain.parquet import read_schema

STORE_FOLDERS = ("images.raw", "images.jpeg")
_OWN_TABLES = ("catalog.parquet", "images.parquet")
_METADATA_KEY = b"simtrain"
_SHARD_NAME = re.compile(r"[0-9a-f]{20}\.bin")


def refuse_to_replace(out: Path, *, results: Sequence[str], inputs: Sequence[Path]) -> None:
    """Refuse to write where a file that simtrain did not write would be lost.

    Args:
        out: The catalogue's folder.
        results: Names of the files that will be written there.
        inputs: The source as the user named it, and other files that it is read from.

    Raises:
        CatalogError: if a file of such a name is not of simtrain's making, or the source lies where results go.
    """
    targets = [out.resolve() / name for name in (*results, *STORE_FOLDERS)]
    for path in inputs:
        for target in targets:
            if path.resolve().is_relative_to(target):
                raise CatalogError(f"{path}: lies where results go ({target}); take another folder for --out")
    if _is_ours(out):
        return
    for name in (*results, *STORE_FOLDERS):
        if (out / name).exists():
            raise CatalogError(
                f"{out / name}: is not of simtrain's making and would be replaced; take another folder for --out"
            )


def is_shard(path: Path) -> bool:
    """Whether a file has the name of a shard."""
    return _SHARD_NAME.fullmatch(path.name) is not None


def _is_ours(out: Path) -> bool:
    if (out / WORK_FOLDER / SHARDS_FOLDER / PLAN_FILE).is_file():
        return True  # of a run that was interrupted, perhaps while it published
    return any(has_our_mark(out / name) for name in _OWN_TABLES)


def has_our_mark(path: Path) -> bool:
    """Whether a Parquet file is one that simtrain wrote."""
    try:
        return _METADATA_KEY in (read_schema(path).metadata or {})
    except (OSError, pa.ArrowException):
        return False

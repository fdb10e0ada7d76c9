"""Moving new shards into the image store, and removal of unused ones."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pyarrow as pa

from simtrain.catalog.ownership import STORE_FOLDERS, is_shard
from simtrain.catalog.store.layout import StoreSettings


@contextmanager
def move_shards(work: Path, out: Path, *, settings: StoreSettings, table: pa.Table) -> Iterator[None]:
    """Move the shards that a record names from `work` to the store, and back if the block fails.

    A shard that is in place already, which equal names mean, is replaced but not taken away again.
    """
    folder = out / settings.folder_name
    moved: list[str] = []
    names = _names(table)
    try:
        if names:
            folder.mkdir(parents=True, exist_ok=True)
        for name in names:
            if (work / name).exists():
                moved += [] if (folder / name).exists() else [name]
                (work / name).replace(folder / name)
        yield
    except BaseException:
        for name in moved:
            if (folder / name).exists():
                (folder / name).replace(work / name)
        with suppress(OSError):  # holds the store that was in place
            folder.rmdir()
        raise


def remove_unused(out: Path, *, settings: StoreSettings, table: pa.Table) -> None:
    """Remove shards that a record does not name, also those of another kind; other files stay."""
    named = {out / settings.folder_name / name for name in _names(table)}
    for folder in (out / name for name in STORE_FOLDERS):
        for path in sorted(folder.glob("*")):
            if is_shard(path) and path not in named:
                path.unlink()
        with suppress(OSError):  # not there, or in use
            folder.rmdir()


def size_of_stores(out: Path) -> int:
    """Bytes of the stores that are in place, which a new one replaces."""
    return sum(path.stat().st_size for name in STORE_FOLDERS for path in (out / name).glob("*") if is_shard(path))


def _names(table: pa.Table) -> list[str]:
    return sorted({name for name in table["shard"].to_pylist() if name is not None})

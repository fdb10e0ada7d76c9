"""Parallel reading of new and changed image files; unchanged ones are recognised by their file stats."""

import os
from collections.abc import Generator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from dataclasses import dataclass
from multiprocessing import get_context, parent_process
from multiprocessing.connection import wait
from pathlib import Path
from signal import SIG_IGN, SIGINT, signal
from threading import Thread

import pyarrow as pa
import pyarrow.compute as pc

from simtrain.catalog.inspection.read_worker import (
    FACTS_SUFFIX,
    NOT_THERE,
    UNOPENED,
    Chunk,
    SourceFile,
    depends_on_settings,
    read_chunk,
)
from simtrain.catalog.staging import UnfinishedError
from simtrain.catalog.store.layout import FACTS, Record, StoreSettings, change_time
from simtrain.console import Console
from simtrain.parquet import read_table

CHUNK_FILES = 256
"""Files of a chunk: what a kill can lose for each process, and about 80 MB of raw pixels."""

_FEW = 64
"""So many images are read faster than a second process starts."""


@dataclass(frozen=True, kw_only=True)
class Reading:
    """Facts of every file of a source.

    Attributes:
        table: Columns of `FACTS`, one row for each file in the given order.
        fresh: Number of files that were decoded now; the others were known.
    """

    table: pa.Table
    fresh: int


def list_files(root: Path, paths: Sequence[str]) -> list[SourceFile]:
    """The stats of files below a root, without opening them."""
    prefix = str(root)
    files = []
    for path in paths:
        try:
            found = os.stat(f"{prefix}/{path}")  # noqa: PTH116 - a Path for each of 100,000 files takes a second
            files.append(SourceFile(path=path, size=found.st_size, mtime_ns=change_time(found)))
        except OSError:
            files.append(SourceFile(path=path, size=NOT_THERE, mtime_ns=0))
    return files


@dataclass(frozen=True, kw_only=True)
class ReadingSettings:
    """How the files of a source are read.

    Attributes:
        origin: What the files belong to: the root, or a description of what they were generated from.
        store: How the image store keeps the images.
        largest_pixels: An image of more pixels is not read.
        work: Folder for chunks; those in it from an interrupted run are used.
        workers: Number of processes; 1 reads in this one.
    """

    origin: str
    store: StoreSettings
    largest_pixels: int
    work: Path
    workers: int


def read_files(
    root: Path,
    files: Sequence[SourceFile],
    *,
    known: Record | None,
    settings: ReadingSettings,
    console: Console,
) -> Reading:
    """Facts of all files; reads those that neither `known` nor an interrupted run has.

    Args:
        root: Folder that the paths start from.
        files: No path twice.
        known: Record of an earlier run over the same root with the same image store.
        settings: Folder for chunks, number of processes, image store.
        console: Shows how many of the files to be read are done.

    Raises:
        CatalogError: if a reading process dies; a file that cannot be read is a fact, not an error.
    """
    tables = [known.table] if known is not None else []
    tables += [
        table for path in sorted(settings.work.glob(f"*{FACTS_SUFFIX}")) if (table := _facts_of(path)) is not None
    ]
    facts = _lasting(pa.concat_tables(tables)) if tables else FACTS.empty_table()
    place = _places(facts)
    missing = [file for file in files if (file.path, file.size, file.mtime_ns) not in place]
    chunks = [
        Chunk(
            root=root,
            origin=settings.origin,
            files=missing[start : start + CHUNK_FILES],
            settings=settings.store,
            largest_pixels=settings.largest_pixels,
            folder=settings.work,
        )
        for start in range(0, len(missing), CHUNK_FILES)
    ]
    alone = settings.workers == 1 or len(missing) <= _FEW
    done = _one_by_one(chunks) if alone else _in_processes(chunks, workers=settings.workers)
    with closing(done) as counted:
        new = sorted(set(console.bar(counted, len(missing), "reading images")))
    if new:
        facts = pa.concat_tables([facts, *(read_table(path) for path in new)])
        place = _places(facts)
    order = pa.array([_place_of(file, place) for file in files], type=pa.int64())
    return Reading(table=facts.take(order).combine_chunks(), fresh=len(missing))


def facts_agree(table: pa.Table, files: Sequence[SourceFile]) -> bool:
    """Whether a record's files are exactly these, unchanged and in this order."""
    if table.num_rows != len(files):
        return False
    listed = pa.table(
        {
            "path": pa.array([file.path for file in files], type=pa.string()),
            "size": pa.array([file.size for file in files], type=pa.int64()),
            "mtime_ns": pa.array([file.mtime_ns for file in files], type=pa.int64()),
        }
    )
    return all(
        bool(pc.all(pc.equal(table[name], listed[name]), min_count=0).as_py()) for name in ("path", "size", "mtime_ns")
    )


def _lasting(facts: pa.Table) -> pa.Table:
    """Without the files that were not read because of a setting, or for want of a package."""
    lasting = [not depends_on_settings(problem) for problem in facts["problem"].to_pylist()]
    return facts.filter(pa.array(lasting, type=pa.bool_()))


def _facts_of(path: Path) -> pa.Table | None:
    """The facts of a chunk; None if the file is not whole, as after a power cut, or of another version."""
    try:
        table = read_table(path)
    except (OSError, pa.ArrowException):
        return None
    return table if table.schema.equals(FACTS) else None


def _place_of(file: SourceFile, place: dict[tuple[str, int, int], int]) -> int:
    found = place.get((file.path, file.size, file.mtime_ns))
    return place[file.path, UNOPENED, file.mtime_ns] if found is None else found


def _places(facts: pa.Table) -> dict[tuple[str, int, int], int]:
    keys = zip(*(facts[name].to_pylist() for name in ("path", "size", "mtime_ns")), strict=True)
    return {key: place for place, key in enumerate(keys)}


def _one_by_one(chunks: Sequence[Chunk]) -> Generator[Path]:
    """The facts file of each chunk, as often as it has files."""
    for chunk in chunks:
        path = read_chunk(chunk)
        yield from [path] * len(chunk.files)


def _in_processes(chunks: Sequence[Chunk], *, workers: int) -> Generator[Path]:
    # Not fork: a caller may hold threads (torch, pyarrow) whose locks a forked child would wait for.
    executor = ProcessPoolExecutor(
        min(workers, len(chunks)), mp_context=get_context("spawn"), initializer=live_and_die_with_the_parent
    )
    try:
        running = {executor.submit(read_chunk, chunk): len(chunk.files) for chunk in chunks}
        for future in as_completed(running):
            yield from [future.result()] * running[future]
    except BrokenProcessPool as error:
        raise UnfinishedError(
            "a process that reads images died, perhaps for want of memory; try --set workers=1 "
            '(in a script of your own, call prepare below `if __name__ == "__main__":`)'
        ) from error
    finally:
        executor.shutdown(wait=True, cancel_futures=True)


def live_and_die_with_the_parent() -> None:
    """Begin a working process: Ctrl-C is the parent's to answer, and a parent that was killed leaves none behind."""
    signal(SIGINT, SIG_IGN)  # a terminal's Ctrl-C reaches every process; the first one answers it
    parent = parent_process()
    if parent is not None:
        Thread(target=_exit_after, args=(parent.sentinel,), daemon=True).start()


def _exit_after(sentinel: int) -> None:
    wait([sentinel])
    os._exit(1)  # killed without a chance to say goodbye: no reader stays behind

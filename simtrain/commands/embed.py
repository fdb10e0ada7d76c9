"""`simtrain embed`: embeddings of any collection of images by a bundle's encoder, as Parquet shards."""

from __future__ import annotations

import csv
import functools
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from simtrain.catalog.inspection.console_summary import lines_of
from simtrain.catalog.inspection.reading import list_files
from simtrain.catalog.sources.collection import Collection, open_collection
from simtrain.catalog.sources.opened import expanded
from simtrain.catalog.sources.opening import Opening
from simtrain.catalog.staging import work_folder
from simtrain.commands.search import image_encoder
from simtrain.config import PrepareConfig
from simtrain.console import Console
from simtrain.cores import usable_cores
from simtrain.data.fashion_mnist_download import fetch_fashion_mnist
from simtrain.errors import SimtrainError, system_reason
from simtrain.files import write_whole
from simtrain.launch.shard_engines import in_processes, on_ray
from simtrain.own_code import code_allowed, is_code_allowed
from simtrain.phrases import counted
from simtrain.serving.bundle import Bundle
from simtrain.serving.embedding_shards import (
    RECORD_FILE,
    LeftOut,
    ShardTask,
    Space,
    is_done,
    left_out_of_shard,
    shard_numbers,
    shard_path,
    space_of_shards,
    write_record,
)
from simtrain.serving.query_encoder import QueryEncoder
from simtrain.serving.shard_worker import ShardWorker

LEFT_OUT_FILE = "_left_out.csv"


@dataclass(frozen=True, kw_only=True)
class EmbedSettings:
    """How a collection is embedded.

    Attributes:
        precision: `float16` or `float32`: of the numbers that are kept.
        shard_size: Images of a shard, 1 or more: what a kill can cost, and what a reader holds at once.
        processes: Number of processes on this machine, 1 or more; None: one for each GPU, or else for each core.
        engine: `local`: processes on this machine; `ray`: actors on a Ray cluster.
    """

    precision: str
    shard_size: int
    processes: int | None
    engine: str


@dataclass(frozen=True, kw_only=True)
class EmbedReport:
    """What `embed` has written; `print` shows it.

    Attributes:
        folder: Folder of the shards.
        space: What they have in common.
        images: Number of embeddings.
        shards: Number of shards.
        fresh: Number of shards that were made now; the others were there.
        left_out: Images without an embedding.
    """

    folder: Path
    space: Space
    images: int
    shards: int
    fresh: int
    left_out: list[LeftOut]

    def __str__(self) -> str:
        space = self.space
        kept = (
            f"; {counted(self.shards - self.fresh, 'shard was', 'shards were')} there"
            if self.fresh < self.shards
            else ""
        )
        lines = [
            f"embeddings: {self.folder} ({counted(self.images, 'image')}, {space.dimensions} dimensions, "
            f"{space.precision}, {counted(self.shards, 'shard')}{kept})"
        ]
        if self.left_out:
            first = self.left_out[0]
            lines.append(
                f"left out: {counted(len(self.left_out), 'image')}, such as '{first.path}': {first.reason}; all are in "
                f"{self.folder / LEFT_OUT_FILE}"
            )
        return "\n".join(lines)


def embed(
    folder: Path, source: str, *, out: Path, config: PrepareConfig, settings: EmbedSettings, console: Console
) -> EmbedReport:
    """Embed every image of a source with the encoder of a bundle; shards that are there already stay as they are.

    Args:
        folder: Folder of the bundle.
        source: A source of `prepare`, or a catalogue that it made.
        out: Folder for the shards; made if missing.
        config: Settings of `prepare` that say how the source is read.
        settings: Precision, size of shards, processes, engine.
        console: Shows how many shards are done.

    Raises:
        SimtrainError: for anything that the user can mend; finished shards stay, and the next call goes on with them.
    """
    bundle = Bundle.open(folder)
    space = Space(fingerprint=bundle.fingerprint, dimensions=bundle.index.dimensions, precision=settings.precision)
    out = expanded(str(out))
    _refuse_other_content(out, space)
    with work_folder(out, console=console) as work:
        opening = Opening(work=work, output=out, fetch_fashion_mnist=fetch_fashion_mnist, console=console)
        collection = open_collection(source, config=config, opening=opening)
        for line in lines_of(collection.findings, {"labels": 0}):
            console.line(line)
        tasks = list(_tasks(collection, size=settings.shard_size))
        pending = [task for task in tasks if not is_done(out, task, space=space)]
        _remove(out, RECORD_FILE)  # what is there is no whole collection until the end
        worker = ShardWorker(
            open_encoder=functools.partial(_encoder, folder.resolve(), space.fingerprint, is_code_allowed()),
            root=collection.root,
            out=out.resolve(),
            space=space,
            threads=_threads(settings.processes),
        )
        done = (
            on_ray(worker, pending) if settings.engine == "ray" else in_processes(worker, pending, settings.processes)
        )
        for _ in console.bar(done, len(pending), "embedding shards"):
            pass
        root = None if collection.root.is_relative_to(work.resolve()) else collection.root  # extracted, then removed
        return _finished(out, tasks, space, fresh=len(pending), root=root)


@functools.cache
def _encoder(folder: Path, fingerprint: str, code: bool, threads: int, device: str) -> QueryEncoder:
    with code_allowed(code):
        bundle = Bundle.open(folder)
        if bundle.fingerprint != fingerprint:
            raise SimtrainError(f"{folder}: was replaced by a bundle of another encoder; run simtrain embed again")
        return image_encoder(bundle, threads=threads, device=device)


def _tasks(collection: Collection, *, size: int) -> Iterator[ShardTask]:
    files = list_files(collection.root, collection.paths)
    images = [
        (identifier, file.path, file.size, file.mtime_ns)
        for identifier, file in zip(collection.ids, files, strict=True)
    ]
    for number, start in enumerate(range(0, len(images), size)):
        yield ShardTask.of(number, images[start : start + size])


def _refuse_other_content(out: Path, space: Space) -> None:
    there = space_of_shards(out) if out.is_dir() else None
    if there is not None and there != space:
        of = "another encoder" if there.fingerprint != space.fingerprint else f"{there.precision} numbers"
        raise SimtrainError(f"{out}: holds embeddings of {of}; take another folder for --out, or remove it")


def _finished(out: Path, tasks: Sequence[ShardTask], space: Space, *, fresh: int, root: Path | None) -> EmbedReport:
    for number in shard_numbers(out):
        if number >= len(tasks):  # of a collection that was larger
            _remove(out, shard_path(out, number).name)
    left_out = [each for task in tasks for each in left_out_of_shard(out, task.number)]
    images = sum(len(task.ids) for task in tasks) - len(left_out)
    _write_left_out(out, left_out)
    write_record(out, space=space, images=images, left_out=len(left_out), shards=len(tasks), root=root)
    return EmbedReport(folder=out, space=space, images=images, shards=len(tasks), fresh=fresh, left_out=left_out)


def _write_left_out(out: Path, left_out: Sequence[LeftOut]) -> None:
    if not left_out:
        _remove(out, LEFT_OUT_FILE)
        return
    text = io.StringIO()
    writer = csv.DictWriter(text, ("id", "path", "reason"))
    writer.writeheader()
    writer.writerows(vars(each) for each in left_out)
    write_whole(out / LEFT_OUT_FILE, text.getvalue().encode(), error=SimtrainError)


def _remove(out: Path, name: str) -> None:
    try:
        (out / name).unlink(missing_ok=True)
    except OSError as error:
        raise SimtrainError(f"{out / name}: cannot be removed: {system_reason(error)}") from None


def _threads(processes: int | None) -> int:
    cores = usable_cores()
    return max(1, cores // (processes or cores))

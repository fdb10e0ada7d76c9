"""Reads every image once, and finds what is wrong with them: unreadable files, duplicates, labels of one image."""

# This module is what the reading processes import: no pandas here, so that they start fast.

import hashlib
from collections import Counter, defaultdict
from collections.abc import Generator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from signal import SIG_IGN, SIGINT, signal
from typing import Any

from simtrain.catalog.images import read_image
from simtrain.catalog.progress import Progress
from simtrain.errors import CatalogError

_FEW = 64
"""So many images are read faster than a second process starts."""


@dataclass(frozen=True, kw_only=True)
class ImageFacts:
    """What reading a file told.

    Attributes:
        width: Pixels across, after the turn that EXIF asks for; 0 if unreadable.
        height: Pixels down, likewise.
        sha256: Of the file's bytes; empty if unreadable.
        pixel_sha256: Of the decoded RGB pixels and their shape: equal for files that show exactly the same picture.
        problem: Why it cannot be read; None if it can.
    """

    width: int
    height: int
    sha256: str
    pixel_sha256: str
    problem: str | None


def inspect_image(path: Path) -> ImageFacts:
    """Decode one file completely."""
    try:
        pixels = read_image(path)
        with path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    except CatalogError as error:
        return ImageFacts(width=0, height=0, sha256="", pixel_sha256="", problem=str(error).removeprefix(f"{path}: "))
    height, width, _ = pixels.shape
    digest = hashlib.sha256(f"{height}x{width}:".encode())
    digest.update(pixels.data)
    return ImageFacts(width=width, height=height, sha256=sha256, pixel_sha256=digest.hexdigest(), problem=None)


def inspect_images(paths: Sequence[Path], *, workers: int, progress: Progress) -> list[ImageFacts]:
    """Decode all files, in `workers` processes (1: in this one), and return their facts in the order of `paths`.

    Raises:
        CatalogError: if a reading process dies; a file that cannot be read is a fact, not an error.
    """
    alone = workers == 1 or len(paths) <= _FEW
    with closing(_one_by_one(paths) if alone else _in_processes(paths, workers=workers)) as facts:
        return list(progress(facts, len(paths), "reading images"))


def duplicate_groups(ids: Sequence[str], contents: Sequence[str]) -> list[str | None]:
    """For each image the smallest id among those of equal content; None for an image that has no equal."""
    members = defaultdict(list)
    for identifier, content in zip(ids, contents, strict=True):
        members[content].append(identifier)
    return [min(members[content]) if len(members[content]) > 1 else None for content in contents]


def duplicate_conflicts(
    ids: Sequence[str], groups: Sequence[str | None], values: Sequence[str | None], *, column: str
) -> list[dict[str, Any]]:
    """A finding for each group of equal images that `column` gives different values; null differs from any value."""
    members: dict[str, list[int]] = defaultdict(list)
    for row, group in enumerate(groups):
        if group is not None:
            members[group].append(row)
    return [
        {
            "kind": "duplicates_differ",
            "column": column,
            "ids": [ids[row] for row in rows],
            "values": [values[row] for row in rows],
        }
        for _, rows in sorted(members.items())
        if len({values[row] for row in rows}) > 1
    ]


def single_image_labels(labels: Sequence[str | None]) -> list[dict[str, Any]]:
    """A finding for each label that only one image has: nothing shows what belongs to it."""
    counts = Counter(label for label in labels if label is not None)
    return [{"kind": "label_with_one_image", "label": label} for label, count in sorted(counts.items()) if count == 1]


def _one_by_one(paths: Sequence[Path]) -> Generator[ImageFacts]:
    for path in paths:
        yield inspect_image(path)


def _in_processes(paths: Sequence[Path], *, workers: int) -> Generator[ImageFacts]:
    # Not fork: a caller may hold threads (torch, pyarrow) whose locks a forked child would wait for.
    executor = ProcessPoolExecutor(
        workers, mp_context=get_context("spawn"), initializer=_leave_interrupts_to_the_parent
    )
    try:
        yield from executor.map(inspect_image, paths, chunksize=32)
    except BrokenProcessPool as error:
        raise CatalogError(
            "a process that reads images died, perhaps for want of memory; try --set workers=1 "
            '(in a script of your own, call prepare below `if __name__ == "__main__":`)'
        ) from error
    finally:
        executor.shutdown(wait=True, cancel_futures=True)


def _leave_interrupts_to_the_parent() -> None:
    signal(SIGINT, SIG_IGN)

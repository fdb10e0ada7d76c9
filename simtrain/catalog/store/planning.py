"""Choice of the image store's kind (raw pixels, JPEG or none) by estimated size and free disk."""

import shutil
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from simtrain.catalog.store.layout import StoreKind

RAW_LIMIT = 4 * 2**30
"""Bytes of raw pixels that a set counts as small with: they stay in the memory of a workstation."""

KINDS: tuple[StoreKind, ...] = ("raw", "jpeg", "none")
"""Kinds of store, the best first."""

_RAW_SHARE, _JPEG_SHARE = 0.25, 0.5  # of the free disk
_JPEG_BYTES_PER_PIXEL = 0.6  # quality 95 without colour subsampling; measured 0.2 to 0.5 on product photographs
_SAMPLE = 200


@dataclass(frozen=True, kw_only=True)
class StorePlan:
    """The kind of store that was chosen, and why.

    Attributes:
        kind: `raw`, `jpeg` or `none`.
        reason: Why it was chosen, as a phrase for messages.
    """

    kind: StoreKind
    reason: str


def plan_store(files: Sequence[Path], *, side: int, free_bytes: int) -> StorePlan:
    """Choose by an estimate from the headers of some files, spread evenly.

    Raw pixels if they weigh no more than `RAW_LIMIT` and a quarter of the free disk; else JPEG if it weighs no more
    than half of the free disk; else none.
    """
    pixels = _mean_pixels(files, side=side) * len(files)
    raw, jpeg = int(3 * pixels), int(_JPEG_BYTES_PER_PIXEL * pixels)
    if raw <= min(RAW_LIMIT, _RAW_SHARE * free_bytes):
        return StorePlan(kind="raw", reason=f"about {_gigabytes(raw)} of raw pixels")
    if jpeg <= _JPEG_SHARE * free_bytes:
        return StorePlan(kind="jpeg", reason=f"raw pixels would take {_gigabytes(raw)}, JPEG {_gigabytes(jpeg)}")
    return StorePlan(kind="none", reason=f"even JPEG would take {_gigabytes(jpeg)}, more than half of the free disk")


def better_kind_fits(kind: StoreKind, files: Sequence[Path], *, side: int, free_bytes: int) -> bool:
    """Whether the disk has room for a better kind of store than this one."""
    if kind == KINDS[0]:
        return False
    return KINDS.index(plan_store(files, side=side, free_bytes=free_bytes).kind) < KINDS.index(kind)


def free_disk(folder: Path) -> int:
    """Free bytes where a folder is, or will be."""
    existing = next(place for place in (folder, *folder.resolve().parents) if place.exists())
    return shutil.disk_usage(existing).free


def _mean_pixels(files: Sequence[Path], *, side: int) -> float:
    step = max(1, len(files) // _SAMPLE)
    stored = [pixels for file in files[::step] if (pixels := _stored_pixels(file, side=side)) is not None]
    return sum(stored) / len(stored) if stored else float(side * side)


def _stored_pixels(file: Path, *, side: int) -> float | None:
    try:
        if not file.is_file():
            return None
        with warnings.catch_warnings(action="ignore"), Image.open(file) as image:
            width, height = image.size
    except Exception:  # what cannot be read takes no room; the reading itself says so
        return None
    scale = min(1.0, side / max(1, min(width, height)))
    return width * height * scale**2


def _gigabytes(size: int) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e8 else f"{size / 1e6:.0f} MB"

"""Embedding cache on disk, reused by later comparisons and runs of the same catalogue."""

# Shapes: N images, D dimensions of an embedding.

from __future__ import annotations

import hashlib
import json
import os
import re
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from simtrain.data.cache_eviction import LARGEST_CACHE, OpenFolder, note_use
from simtrain.data.row_vectors import RowVectors, map_rows, vectors_of, write_rows
from simtrain.encoders.arithmetic import FLOAT32, Arithmetic, Precision
from simtrain.encoders.base import Encoder
from simtrain.errors import CatalogError
from simtrain.files import sha256_of_bytes, whole_file
from simtrain.locks import written_by_one

FOLDER = "embeddings"  # within the catalogue's folder
_OWN_NAME = re.compile(r"[0-9a-f]{12}-[0-9a-f]{24}(\.[0-9a-f]{16})?\.safetensors")
_SETTINGS = ("space", "bins", "behaviour")  # of encoders, beside weights and layers, that a fingerprint is of
_LEAST_TIMED = 64  # images, of which the time is reported


@dataclass(frozen=True, kw_only=True, eq=False)
class Embedded:
    """Embeddings of some images by one encoder.

    Attributes:
        rows: (N,) catalogue rows, ascending.
        vectors: (N, D) float32 embeddings of unit length.
        seconds: Seconds that reading, preprocessing and embedding the timed images took.
        images: Number of images timed, N or fewer.
        device: Device that they were embedded on.
        arithmetic: Arithmetic that they were embedded in.
    """

    rows: NDArray[np.int64]
    vectors: Tensor
    seconds: float
    images: int
    device: str
    arithmetic: Arithmetic = FLOAT32

    @property
    def seconds_per_thousand(self) -> float | None:
        """Seconds per 1,000 images; None where too few images were timed."""
        return 1000 * self.seconds / self.images if self.images >= _LEAST_TIMED else None

    def note(self) -> dict[str, Any]:
        """What is written beside the vectors."""
        timed = {"seconds": self.seconds, "images": self.images, "device": self.device}
        return {**timed, "embedding": self.arithmetic.to_dict()}

    def as_rows(self) -> RowVectors:
        """The same as what is written to a file."""
        return RowVectors(rows=self.rows, vectors=self.vectors.contiguous().numpy(), note=self.note())

    def of(self, rows: NDArray[np.int64]) -> Tensor:
        """Embeddings of these rows, in their order.

        Raises:
            KeyError: for a row that is not among them.
        """
        if np.array_equal(rows, self.rows):
            return self.vectors  # which may be mapped, and stays so
        places = np.searchsorted(self.rows, rows)
        if len(rows) > 0 and (places.max() >= len(self.rows) or (self.rows[places] != rows).any()):
            raise KeyError("a row that was not embedded")
        return self.vectors[torch.from_numpy(places)]


@dataclass(frozen=True, kw_only=True)
class BlockWriter:
    """Writes blocks of embeddings by one encoder beside the file of its cache; other processes may have it too.

    Attributes:
        path: The encoder's file of the cache.
    """

    path: Path

    def write(self, made: Embedded) -> None:
        """Write one block as a file of its own, whole or not at all.

        Raises:
            OSError: if it cannot be written.
        """
        digest = hashlib.sha256(made.rows.tobytes()).hexdigest()[:16]
        _write(self.path.with_suffix(f".{digest}.safetensors"), [made.as_rows()], note=made.note())


class EmbeddingCache:
    """A folder of embeddings, a file for each encoder; while images are embedded, also files of blocks.

    What is in it is of one catalogue: files of what the catalogue was before are removed. Of more than `LARGEST_CACHE`
    bytes the least recently used go when it is opened. Blocks that a killed process left count as the file does.

    Args:
        folder: Folder of the cache, made if it is missing; where it is read-only, new files go to a temporary folder.
        data: Fingerprint of the catalogue.
    """

    def __init__(self, folder: Path, *, data: str) -> None:
        self._data = data[:12]
        self._unwritten: dict[str, list[RowVectors]] = {}
        self._permanent = folder
        self._temporary: tempfile.TemporaryDirectory[str] | None = None
        try:
            folder.mkdir(parents=True, exist_ok=True)
            writable = os.access(folder, os.W_OK)
        except OSError:
            writable = False
        if not writable:
            self._temporary = tempfile.TemporaryDirectory(prefix="simtrain-embeddings-")
            folder = Path(self._temporary.name)
        self._folder = folder
        own = {path for path in self._folder.iterdir() if _OWN_NAME.fullmatch(path.name)}
        present = {path for path in own if path.name.startswith(f"{self._data}-")}
        for path in own - present:
            path.unlink(missing_ok=True)
        self._opened = OpenFolder(self._folder)
        self._opened.evict(present, largest=LARGEST_CACHE)

    @property
    def lasting(self) -> bool:
        """Whether the cache remains for later commands; False for a temporary folder."""
        return self._temporary is None

    def missing(self, fingerprint: str, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Those of the rows, (N,) ascending, that the cache does not hold for an encoder of this fingerprint."""
        for stored in self._stored(fingerprint):
            rows = np.setdiff1d(rows, stored.rows)
        return rows

    def add(self, fingerprint: str, made: Embedded) -> None:
        """Add embeddings by an encoder of this fingerprint to its file of the cache."""
        self.add_block(fingerprint, made)
        self.consolidate(fingerprint)

    def add_block(self, fingerprint: str, made: Embedded) -> None:
        """Keep a block of embeddings; `consolidate` joins blocks."""
        try:
            self.writer(fingerprint).write(made)
        except OSError:  # a full disk costs memory now, and time in the next command
            self._unwritten.setdefault(fingerprint, []).append(made.as_rows())

    def writer(self, fingerprint: str) -> BlockWriter:
        """What writes blocks of an encoder, here or in another process; a full disk is an error there."""
        return BlockWriter(path=self._folder / self._name(fingerprint))

    def consolidate(self, fingerprint: str) -> None:
        """Join what is there of an encoder into one file, one command at a time; blocks stay where that fails."""
        path = self._folder / self._name(fingerprint)
        if self._blocks(path):
            with suppress(OSError, CatalogError), written_by_one(path, error=CatalogError):
                self._join(path, fingerprint)

    def _join(self, path: Path, fingerprint: str) -> None:
        blocks, stored = self._blocks(path), self._stored(fingerprint)
        if len(stored) == len(blocks) == 1 and not path.exists():
            blocks[0].replace(path)
        elif blocks and stored:
            _write(path, stored, note=_joined_notes([part.note for part in stored]))
            for block in blocks:
                block.unlink(missing_ok=True)

    def load(self, fingerprint: str, rows: NDArray[np.int64]) -> Embedded:
        """The embeddings of these rows, (N,) ascending; all of a file's are mapped instead of read.

        Raises:
            CatalogError: if the cache does not hold one of them any more.
            ValueError: if there are none.
        """
        if len(rows) == 0:
            raise ValueError("rows is empty; allowed: one or more")
        stored = self._stored(fingerprint)
        note_use(self._files(fingerprint))
        try:
            vectors = vectors_of(stored, rows)
        except (KeyError, IndexError):
            why = "as after another simtrain prepare of the catalogue; run the command again"
            raise CatalogError(f"{self._folder}: embeddings are gone, {why}") from None
        note = _joined_notes([part.note for part in stored])
        return Embedded(
            rows=rows,
            vectors=torch.from_numpy(vectors),
            seconds=float(note["seconds"]),
            images=int(note["images"]),
            device=str(note["device"]),
            arithmetic=Arithmetic.from_dict(note.get("embedding", {})),
        )

    def _name(self, fingerprint: str) -> str:
        return f"{self._data}-{fingerprint[:24]}.safetensors"

    def _files(self, fingerprint: str) -> list[Path]:
        """Files of an encoder: its own, then its blocks; those of a folder without write access come last."""
        own = [folder / self._name(fingerprint) for folder in dict.fromkeys((self._folder, self._permanent))]
        return [path for each in own for path in (each, *self._blocks(each))]

    def _blocks(self, path: Path) -> list[Path]:
        return sorted(path.parent.glob(f"{path.stem}.*.safetensors"))

    def _stored(self, fingerprint: str) -> list[RowVectors]:
        """What is there of an encoder; what cannot be read is not."""
        found = list[RowVectors]()
        for path in reversed(self._files(fingerprint)):  # blocks first: another command may join them meanwhile
            try:
                stored = map_rows(path)
                _ = float(stored.note["seconds"]), int(stored.note["images"]), str(stored.note["device"])
                _ = Arithmetic.from_dict(stored.note.get("embedding", {}))
            except (OSError, KeyError, TypeError, AttributeError, ValueError):
                continue
            found.append(stored)
        return [*self._unwritten.get(fingerprint, []), *reversed(found)]


def _write(path: Path, parts: Sequence[RowVectors], *, note: Mapping[str, Any]) -> None:
    with whole_file(path) as temporary:
        write_rows(temporary, parts, note=note)


def _joined_notes(notes: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """One note of several, of which the last says where embeddings are made now; times of other devices are left."""
    device = notes[-1]["device"]
    same = [note for note in notes if note["device"] == device]
    seconds, images = sum(float(note["seconds"]) for note in same), sum(int(note["images"]) for note in same)
    return {**notes[-1], "seconds": seconds, "images": images}


def encoder_fingerprint(encoder: Encoder, *, images: str, precision: Precision = "32") -> str:
    """Fingerprint of everything that embeddings depend on: class, preprocessing, weights, and source of the images.

    Args:
        encoder: Encoder with its weights.
        images: Source of the images, as a phrase.
        precision: Arithmetic of the network.
    """
    about = {
        "network": f"{type(encoder).__name__} {encoder}",
        "settings": [str(getattr(encoder, name, None)) for name in _SETTINGS],
        "preprocessing": encoder.preprocessing.to_dict(),
        "images": images,
        "torch": torch.__version__,
        **({} if precision == "32" else {"precision": precision}),
    }
    digest = hashlib.sha256(json.dumps(about, sort_keys=True).encode())
    whitening = {} if encoder.whitening is None else vars(encoder.whitening)
    for name, value in (*encoder.state_dict().items(), *whitening.items()):
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        digest.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def variant_fingerprint(fingerprint: str, variant: str) -> str:
    """Fingerprint for altered copies of the images."""
    return sha256_of_bytes(f"{fingerprint} {variant}".encode())

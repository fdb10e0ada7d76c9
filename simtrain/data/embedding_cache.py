"""Embedding cache on disk, reused by later comparisons and runs of the same catalogue."""

# Shapes: N images, D dimensions of an embedding.

from __future__ import annotations

import hashlib
import json
import os
import re
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from simtrain.encoders.base import Encoder
from simtrain.files import sha256_of_bytes, whole_file

FOLDER = "embeddings"
"""Folder of the cache within the catalogue's folder."""
_OWN_NAME = re.compile(r"[0-9a-f]{12}-[0-9a-f]{24}\.safetensors")
_SETTINGS = ("space", "bins", "behaviour")
"""What encoders have besides weights and layers that is part of the fingerprint."""
_LEAST_TIMED = 64
"""Smallest number of images whose time is reported."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Embedded:
    """Embeddings of some images by one encoder.

    Attributes:
        rows: (N,) catalogue rows, ascending.
        vectors: (N, D) float32 embeddings of unit length.
        seconds: Seconds that reading, preprocessing and embedding the timed images took.
        images: Number of images timed, N or fewer.
        device: Device that they were embedded on.
    """

    rows: NDArray[np.int64]
    vectors: Tensor
    seconds: float
    images: int
    device: str

    @property
    def seconds_per_thousand(self) -> float | None:
        """Seconds per 1,000 images; None where too few images were timed."""
        return 1000 * self.seconds / self.images if self.images >= _LEAST_TIMED else None

    def of(self, rows: NDArray[np.int64]) -> Tensor:
        """Embeddings of these rows, in their order.

        Raises:
            KeyError: for a row that is not among them.
        """
        places = np.searchsorted(self.rows, rows)
        if len(rows) > 0 and (places.max() >= len(self.rows) or (self.rows[places] != rows).any()):
            raise KeyError("a row that was not embedded")
        return self.vectors[torch.from_numpy(places)]


class EmbeddingCache:
    """A folder of embeddings, a file for each encoder.

    What is in it is of one catalogue: files of what the catalogue was before are removed.

    Args:
        folder: Folder of the cache, made if it is missing; where it is read-only, new files go to a temporary folder.
        data: Fingerprint of the catalogue.
    """

    def __init__(self, folder: Path, *, data: str) -> None:
        self._data = data[:12]
        self._unwritten: dict[str, Embedded] = {}
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
        for path in self._folder.iterdir():
            if _OWN_NAME.fullmatch(path.name) and not path.name.startswith(f"{self._data}-"):
                path.unlink(missing_ok=True)

    @property
    def lasting(self) -> bool:
        """Whether the cache remains for later commands; False for a temporary folder."""
        return self._temporary is None

    def get(
        self,
        fingerprint: str,
        rows: NDArray[np.int64],
        embed: Callable[[NDArray[np.int64]], Tensor],
        *,
        device: str,
    ) -> Embedded:
        """Embeddings of these rows by an encoder; only those missing in the cache are computed.

        Args:
            fingerprint: Fingerprint of the encoder and its images.
            rows: (N,) catalogue rows, ascending.
            embed: Computes the (n, D) embeddings of (n,) rows.
            device: Device that `embed` runs on.
        """
        missing = self.missing(fingerprint, rows)
        if len(missing) > 0:
            begun = time.perf_counter()
            vectors = embed(missing)
            seconds = time.perf_counter() - begun
            self.add(
                fingerprint,
                Embedded(rows=missing, vectors=vectors, seconds=seconds, images=len(missing), device=device),
            )
        return self.load(fingerprint, rows)

    def missing(self, fingerprint: str, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Those of the rows, (N,) ascending, that the cache does not hold for an encoder of this fingerprint."""
        stored = self._read(fingerprint)
        return rows if stored is None else np.setdiff1d(rows, stored.rows)

    def add(self, fingerprint: str, made: Embedded) -> None:
        """Add embeddings by an encoder of this fingerprint to the cache."""
        stored = self._read(fingerprint)  # as it is now: another command may have added to it meanwhile
        self._write(fingerprint, made if stored is None else _joined(stored, made))

    def load(self, fingerprint: str, rows: NDArray[np.int64]) -> Embedded:
        """The embeddings of these rows, (N,) ascending.

        Raises:
            KeyError: for a row that the cache does not hold.
            ValueError: if there are none.
        """
        if len(rows) == 0:
            raise ValueError("rows is empty; allowed: one or more")
        stored = self._read(fingerprint)
        if stored is None:
            raise KeyError("a row that was not embedded")
        return replace(stored, rows=rows, vectors=stored.of(rows))

    def _name(self, fingerprint: str) -> str:
        return f"{self._data}-{fingerprint[:24]}.safetensors"

    def _read(self, fingerprint: str) -> Embedded | None:
        """The cached embeddings; None where there are none, or the file cannot be read."""
        if fingerprint in self._unwritten:
            return self._unwritten[fingerprint]
        for folder in (self._folder, self._permanent):
            try:
                with safe_open(folder / self._name(fingerprint), framework="pt") as file:
                    note = json.loads(file.metadata()["simtrain"])
                    return Embedded(
                        rows=file.get_tensor("rows").numpy(),
                        vectors=file.get_tensor("vectors"),
                        seconds=float(note["seconds"]),
                        images=int(note["images"]),
                        device=str(note["device"]),
                    )
            except (OSError, SafetensorError, KeyError, TypeError, ValueError, RecursionError):
                continue
        return None

    def _write(self, fingerprint: str, embedded: Embedded) -> None:
        path = self._folder / self._name(fingerprint)
        note = {"seconds": embedded.seconds, "images": embedded.images, "device": embedded.device}
        tensors = {"rows": torch.from_numpy(embedded.rows), "vectors": embedded.vectors.contiguous()}
        try:
            with whole_file(path) as temporary:
                save_file(tensors, temporary, metadata={"simtrain": json.dumps(note)})
                temporary.chmod(0o666 & ~_umask())  # safetensors leaves it to its owner alone
        except (OSError, SafetensorError):  # a full disk costs memory now, and time in the next command
            self._unwritten[fingerprint] = embedded


def encoder_fingerprint(encoder: Encoder, *, images: str) -> str:
    """Fingerprint of everything that embeddings depend on: class, preprocessing, weights, and source of the images.

    Args:
        encoder: Encoder with its weights.
        images: Source of the images, as a phrase.
    """
    about = {
        "network": f"{type(encoder).__name__} {encoder}",
        "settings": [str(getattr(encoder, name, None)) for name in _SETTINGS],
        "preprocessing": encoder.preprocessing.to_dict(),
        "images": images,
        "torch": torch.__version__,
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


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current


def _joined(stored: Embedded, made: Embedded) -> Embedded:
    rows, places = np.unique(np.concatenate([stored.rows, made.rows]), return_index=True)
    return Embedded(
        rows=rows,
        vectors=torch.cat([stored.vectors, made.vectors])[torch.from_numpy(places)],
        seconds=made.seconds + (stored.seconds if stored.device == made.device else 0),
        images=made.images + (stored.images if stored.device == made.device else 0),
        device=made.device,
    )

"""Work on one shard of a collection: its images are read, embedded and written."""

# Shapes: N images of a shard.

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from simtrain.catalog.images import decode_image
from simtrain.errors import CatalogError, system_reason
from simtrain.files import sha256_of_bytes
from simtrain.serving.embedding_shards import LeftOut, Shard, ShardTask, Space, write_shard
from simtrain.serving.query_encoder import QueryEncoder

_BATCH = 32
_FLAT = "its embedding has length 0 (a flat picture?): nothing is similar to it"


@dataclass(frozen=True, kw_only=True)
class ShardWorker:
    """Embeds the images of a task and writes their shard; each process opens the encoder once.

    Attributes:
        open_encoder: Opens the encoder for a number of threads and torch's name of a device; importable by name. It is
            called for every task, and remembers.
        root: Folder that the paths of tasks start from.
        out: Folder for the shards.
        space: What the shards have in common.
        threads: Threads of a process without a GPU, that compute or decode; 1 or more.
    """

    open_encoder: Callable[[int, str], QueryEncoder]
    root: Path
    out: Path
    space: Space
    threads: int

    def __call__(self, task: ShardTask, device: str) -> None:
        """Write one shard.

        Args:
            task: Its images.
            device: Torch's name of the device to compute on; `cpu` takes the bundle's ONNX where it has one.
        """
        encoder = self.open_encoder(self.threads, device)
        with ThreadPoolExecutor(self.threads) as readers:
            shard = embedded(encoder, task, root=self.root, readers=readers)
        write_shard(self.out, task, shard, space=self.space)


@dataclass(frozen=True, kw_only=True)
class _Picture:
    """A file's content as the encoder takes it, or why it cannot."""

    pixels: NDArray[np.uint8] | None
    sha256: str
    reason: str


def embedded(encoder: QueryEncoder, task: ShardTask, *, root: Path, readers: ThreadPoolExecutor) -> Shard:
    """A shard's content, in memory; pictures are read while the network computes.

    Args:
        encoder: Embeds the images.
        task: Its images.
        root: Folder that their paths start from.
        readers: Threads that read.
    """
    kept: list[int] = []
    hashes: list[str] = []
    parts: list[NDArray[np.float32]] = []
    reasons: dict[int, str] = {}
    pictures = readers.map(lambda path: _read(root / path, encoder), task.paths)
    for start in range(0, len(task.paths), _BATCH):
        batch = [next(pictures) for _ in task.paths[start : start + _BATCH]]
        reasons |= {start + place: each.reason for place, each in enumerate(batch) if each.pixels is None}
        read = [(start + place, each) for place, each in enumerate(batch) if each.pixels is not None]
        if not read:
            continue
        embeddings = encoder.embed_pixels(np.stack([each.pixels for _, each in read if each.pixels is not None]))
        for (row, each), embedding in zip(read, embeddings, strict=True):
            if not embedding.any():
                reasons[row] = _FLAT
                continue
            kept.append(row)
            hashes.append(each.sha256)
            parts.append(embedding)
    return Shard(
        ids=[task.ids[row] for row in kept],
        paths=[task.paths[row] for row in kept],
        sha256=hashes,
        embeddings=np.stack(parts) if parts else np.zeros((0, encoder.embedding_size), dtype=np.float32),
        left_out=[
            LeftOut(id=task.ids[row], path=task.paths[row], reason=reason) for row, reason in sorted(reasons.items())
        ],
    )


def _read(path: Path, encoder: QueryEncoder) -> _Picture:
    try:
        data = path.read_bytes()
        pixels = encoder.preprocessing.pixels(decode_image(data, at_least=None).pixels)
    except FileNotFoundError:
        return _Picture(pixels=None, sha256="", reason="no such image")
    except OSError as error:
        return _Picture(pixels=None, sha256="", reason=f"cannot be read: {system_reason(error)}")
    except CatalogError as error:
        return _Picture(pixels=None, sha256="", reason=str(error))
    return _Picture(pixels=pixels, sha256=sha256_of_bytes(data), reason="")

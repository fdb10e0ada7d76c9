"""Export format: one more file of a bundle with the same encoder, and its comparison with torch."""

# Shapes: N images, S = image_size, D dimensions of the embedding.

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from simtrain.encoders.base import Encoder
from simtrain.errors import BundleError

TOLERANCE = 1e-4
"""Largest difference between a number of an embedding of an exported encoder and of torch's."""


class ExportedEncoder(Protocol):
    """An encoder that was opened from its exported file."""

    def embed(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """(N, 3, S, S) normalised images -> (N, D) embeddings of unit length."""


@dataclass(frozen=True, kw_only=True)
class ExportFormat:
    """A format that an encoder is exported to.

    Attributes:
        name: Key of the setting in `export` that asks for it.
        file: Name of its file in a bundle.
        runtime: What runs the file, for messages.
        extra: Extra of simtrain whose packages it needs; None: it needs none, and is written where it is asked for.
        available: Whether these packages are installed.
        write: Writes an encoder on the CPU, in evaluation mode, to a file, whole or not at all; gives what the manifest
            says of the file, if anything.
        open: Opens that file; None: it embeds texts, which the golden texts compare.
    """

    name: str
    file: str
    runtime: str
    extra: str | None
    available: Callable[[], bool]
    write: Callable[[Encoder, Path], dict[str, Any] | None]
    open: Callable[[Path], ExportedEncoder] | None

    @property
    def of_texts(self) -> bool:
        """Whether it holds the text side, and is for encoders that embed texts alone."""
        return self.open is None


def check_equal(expected: NDArray[np.float32], found: NDArray[np.float32], *, name: str, runtime: str) -> None:
    """See that an exported encoder gives what torch gives.

    Args:
        expected: (N, D) embeddings by torch.
        found: Embeddings of the same images by the exported encoder.
        name: File of the exported encoder, for messages.
        runtime: What runs it, for messages.

    Raises:
        BundleError: if a number differs by more than `TOLERANCE`.
    """
    if found.shape != expected.shape:
        raise BundleError(f"{name}: {runtime} gives {found.shape}, torch {expected.shape}")
    difference = float(np.abs(found - expected).max())
    if not difference <= TOLERANCE:  # so that NaN fails
        raise BundleError(f"{name}: {runtime}'s embeddings differ by {difference:.2g}; allowed: {TOLERANCE:g}")

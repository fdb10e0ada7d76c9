"""Image reader of altered copies (turned, cropped, darker …) of a catalogue's images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simtrain.catalog.store.reader import ImageReader
from simtrain.console import Console
from simtrain.data.robustness import VARIANTS, QueryVariant


@dataclass(frozen=True, kw_only=True)
class AlteredImages:
    """Image reader that alters each image of another reader by one variant.

    Attributes:
        images: Reader of the unaltered images.
        variant: Alteration applied to each image.
    """

    images: ImageReader
    variant: QueryVariant

    def read(self, row: int, *, at_least: int | None) -> NDArray[np.uint8]:
        """(H, W, 3) RGB of a row, changed.

        Raises:
            ValueError: for a picture that the variant makes no sense for.
        """
        changed = self.variant.apply(self.images.read(row, at_least=at_least))
        if changed is None:
            raise ValueError(f"row {row} cannot be {self.variant.words}")
        return changed


@dataclass(frozen=True, kw_only=True)
class MirroredImages:
    """The pictures of a reader, left and right exchanged.

    Attributes:
        images: The reader.
    """

    images: ImageReader

    def read(self, row: int, *, at_least: int | None) -> NDArray[np.uint8]:
        """(H, W, 3) RGB of a row, mirrored."""
        return np.ascontiguousarray(self.images.read(row, at_least=at_least)[:, ::-1])


def altered_rows(
    images: ImageReader, rows: NDArray[np.int64], *, console: Console
) -> list[tuple[QueryVariant, NDArray[np.int64]]]:
    """Each variant with those of the rows whose pictures it makes sense for; variants without any are left out.

    Args:
        images: Reader of the catalogue's images.
        rows: Catalogue rows, ascending.
        console: Shows how many images are done.
    """
    fits: dict[str, list[int]] = {variant.name: [] for variant in VARIANTS}
    for row in console.bar(rows.tolist(), len(rows), "changing images"):
        picture = images.read(row, at_least=None)
        for variant in VARIANTS:
            if variant.apply(picture) is not None:
                fits[variant.name].append(row)
    return [(variant, _rows(fits[variant.name])) for variant in VARIANTS if fits[variant.name]]


def _rows(listed: Sequence[int]) -> NDArray[np.int64]:
    return np.array(listed, dtype=np.int64)

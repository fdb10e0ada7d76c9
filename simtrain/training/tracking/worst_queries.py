"""Pictures of the validation queries with the lowest average precision, and of their nearest images."""

# Shapes: H, W of a picture; S of its thumbnail.

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

_SIDE = 128  # pixels of a thumbnail: 16 queries with 5 neighbours are less than half a megabyte
_FRAME = 6
_RELEVANT, _OTHER, _QUERY = (0, 160, 70), (205, 40, 40), (255, 255, 255)

Picture = NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True)
class WorstQuery:
    """A query and its nearest gallery images.

    Attributes:
        row: Catalogue row of the query.
        average_precision: Average precision of the query, 0 to 1.
        neighbours: Catalogue rows of its nearest gallery images, the nearest first.
        relevant: Whether each neighbour is relevant to the query.
    """

    row: int
    average_precision: float
    neighbours: tuple[int, ...]
    relevant: tuple[bool, ...]


@dataclass(frozen=True, kw_only=True)
class TrackedImage:
    """A catalogue image.

    Attributes:
        name: Id of the image.
        relevant: Whether it is relevant to the query; None for the query itself.
        thumbnail: (S, S, 3) uint8 RGB.
    """

    name: str
    relevant: bool | None
    thumbnail: Picture


@dataclass(frozen=True, kw_only=True)
class TrackedQuery:
    """A query ready to be shown.

    Attributes:
        average_precision: Average precision of the query, 0 to 1.
        image: The query's image.
        neighbours: Nearest gallery images of the query, nearest first.
    """

    average_precision: float
    image: TrackedImage
    neighbours: tuple[TrackedImage, ...]


def show_queries(
    queries: Sequence[WorstQuery], *, picture: Callable[[int], Picture], ids: Callable[[int], str]
) -> list[TrackedQuery]:
    """Thumbnails of queries and neighbours.

    Args:
        queries: Queries to show.
        picture: Catalogue row -> (H, W, 3) uint8 RGB.
        ids: Catalogue row -> image id.
    """

    def shown(row: int, relevant: bool | None) -> TrackedImage:
        return TrackedImage(name=ids(row), relevant=relevant, thumbnail=_thumbnail(picture(row)))

    return [
        TrackedQuery(
            average_precision=query.average_precision,
            image=shown(query.row, None),
            neighbours=tuple(shown(*found) for found in zip(query.neighbours, query.relevant, strict=True)),
        )
        for query in queries
    ]


def contact_sheet(queries: Sequence[TrackedQuery]) -> Picture:
    """One line per query: itself, then its neighbours, framed in green where they are relevant and in red elsewhere.

    Returns:
        (lines · (S + 12), columns · (S + 12), 3) RGB.
    """
    columns = 1 + max(len(query.neighbours) for query in queries)
    side = _SIDE + 2 * _FRAME
    sheet = np.full((len(queries) * side, columns * side, 3), 255, dtype=np.uint8)
    for line, query in enumerate(queries):
        for column, image in enumerate((query.image, *query.neighbours)):
            sheet[line * side :, column * side :][:side, :side] = _framed(image)
    return sheet


def _thumbnail(picture: Picture) -> Picture:
    return np.asarray(ImageOps.pad(Image.fromarray(picture), (_SIDE, _SIDE), color="white"))


def _framed(image: TrackedImage) -> Picture:
    colour = _QUERY if image.relevant is None else _RELEVANT if image.relevant else _OTHER
    return np.asarray(ImageOps.expand(Image.fromarray(image.thumbnail), border=_FRAME, fill=colour))

"""Pictures embedded in the page: each once, up to a total size."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from simtrain.comparison.report.wording import page_text

TILE_SIDE, POINT_SIDE = 112, 56
"""Pixels, of pictures in rows and of those that show beside the pointer."""
_CAPTION = 120


@dataclass(frozen=True, kw_only=True)
class ImageTile:
    """A picture on the page.

    Attributes:
        picture: Index in `PageImages.uris`; None: there is none.
        caption: Caption, such as the image's id and label.
        mark: `right`, `wrong`, or empty where relevance does not apply.
        note: Further text, such as the similarity; may be empty.
    """

    picture: int | None
    caption: str
    mark: str
    note: str


class PageImages:
    """The pictures of a page, in the order of their first use.

    Args:
        thumbnail: Catalogue row and side in pixels -> JPEG, or None.
        captions: Catalogue row -> caption.
        characters: Largest number of characters of all data URIs together.
    """

    def __init__(
        self, *, thumbnail: Callable[[int, int], bytes | None], captions: Mapping[int, str], characters: int
    ) -> None:
        self.uris: list[str] = []
        """In the order that they were asked for."""
        self.left_out = 0
        """Pictures without room."""
        self._thumbnail = thumbnail
        self._captions = captions
        self._room = characters
        self._places: dict[int, int | None] = {}

    def index_of(self, row: int, *, side: int) -> int | None:
        """Index of the row's picture in `uris`; None if there is none, or no room for it.

        Raises:
            ValueError: for a thumbnail that is no JPEG.
        """
        if row not in self._places:
            self._places[row] = self._embed(row, side=side)
        return self._places[row]

    def caption(self, row: int) -> str:
        """Caption of a row."""
        return page_text(self._captions.get(row, f"image {row}"), to=_CAPTION)

    def tile(self, row: int, *, relevant: bool | None = None, note: str = "") -> ImageTile:
        """A picture to be shown in a row of pictures."""
        mark = "" if relevant is None else "right" if relevant else "wrong"
        return ImageTile(picture=self.index_of(row, side=TILE_SIDE), caption=self.caption(row), mark=mark, note=note)

    def _embed(self, row: int, *, side: int) -> int | None:
        picture = self._thumbnail(row, side)
        if picture is None:
            return None
        if not picture.startswith(b"\xff\xd8\xff"):
            raise ValueError(f"thumbnail of row {row} begins with {picture[:4]!r}; allowed: JPEG")
        uri = f"data:image/jpeg;base64,{b64encode(picture).decode()}"
        if len(uri) > self._room:
            self.left_out += 1
            return None
        self._room -= len(uri)
        self.uris.append(uri)
        return len(self.uris) - 1

"""Pictures inside the page: each once, however often it is shown, and no more of them than the file may hold."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from simtrain.comparison.report.wording import named

TILE_SIDE, POINT_SIDE = 112, 56
"""Pixels, of pictures in rows and of those that show beside the pointer."""
_CAPTION = 120


@dataclass(frozen=True, kw_only=True)
class Tile:
    """A picture on the page.

    Attributes:
        picture: Its place in `Album.uris`; None: there is none.
        caption: What it is.
        mark: `right`, `wrong`, or empty where that is no question.
        note: Such as its similarity; may be empty.
    """

    picture: int | None
    caption: str
    mark: str
    note: str


class Album:
    """The pictures of a page. What is asked for first gets in first.

    Args:
        thumbnail: Row of the catalogue and side in pixels -> a JPEG, or None.
        captions: Of the rows.
        characters: Of all data URIs together, at most.
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

    def place(self, row: int, *, side: int) -> int | None:
        """Where the row's picture is in `uris`; None if there is none, or no room for it.

        Raises:
            ValueError: for a thumbnail that is no JPEG.
        """
        if row not in self._places:
            self._places[row] = self._add(row, side=side)
        return self._places[row]

    def caption(self, row: int) -> str:
        """A few words about a row."""
        return named(self._captions.get(row, f"image {row}"), to=_CAPTION)

    def tile(self, row: int, *, relevant: bool | None = None, note: str = "") -> Tile:
        """A picture to be shown in a row of pictures."""
        mark = "" if relevant is None else "right" if relevant else "wrong"
        return Tile(picture=self.place(row, side=TILE_SIDE), caption=self.caption(row), mark=mark, note=note)

    def _add(self, row: int, *, side: int) -> int | None:
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

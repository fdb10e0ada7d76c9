"""What a service searches in: the interface that a bundle's items and a collection in Milvus share."""

# Shapes: D dimensions of the embedding.

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from simtrain.serving.app.filters import FilterColumn
from simtrain.serving.picture_folders import PictureFolders
from simtrain.serving.searcher import Neighbour

Search = Callable[[NDArray[np.float32], int, bool], list[Neighbour]]
"""(D,) of unit length, a number, and whether the query is an image -> so many nearest items, nearest first."""


class ServedItems(Protocol):
    """Items, searched by several threads at a time."""

    @property
    def name(self) -> str:
        """What the page calls them."""
        ...

    def count(self) -> int:
        """Number of items; asking shows, too, whether searches are answered."""
        ...

    def columns(self) -> list[FilterColumn]:
        """The columns that a page can offer filters for."""
        ...

    def among(self, filters: Sequence[str]) -> Search:
        """The search among the items that pass all filters; see `parsed_filters`.

        Raises:
            RequestError: for a filter that cannot be read.
        """
        ...

    def vector(self, item_id: str) -> NDArray[np.float32]:
        """(D,) embedding of an item.

        Raises:
            RequestError: with status 404, if there is none of this id.
        """
        ...

    def item(self, item_id: str) -> Neighbour:
        """An item's columns, as of a neighbour of similarity 1.

        Raises:
            RequestError: with status 404, if there is none of this id.
        """
        ...

    def picture(self, item_id: str) -> Path:
        """File of an item's picture.

        Raises:
            RequestError: with status 404, if there is no such item, or its picture is not here.
        """
        ...

    @property
    def pictures(self) -> PictureFolders:
        """Folders of the items' pictures; none where that is not known."""
        ...

    def some_paths(self, most: int) -> list[str]:
        """Paths of some items' pictures, about `most` of them."""
        ...

    def __str__(self) -> str:
        """A line for who has started the service."""
        ...

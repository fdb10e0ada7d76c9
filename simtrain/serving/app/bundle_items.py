"""The items of a bundle in service."""

# Shapes: N items, D dimensions of the embedding.

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from simtrain.serving.app.filters import FilterColumn, ItemFilters
from simtrain.serving.app.pictures import picture_file
from simtrain.serving.app.request_error import RequestError
from simtrain.serving.app.served_items import Search
from simtrain.serving.filtered_search import nearest_passing
from simtrain.serving.opened_bundle import OpenedBundle
from simtrain.serving.picture_folders import PictureFolders
from simtrain.serving.searcher import Neighbour

_WRONG, _NOT_FOUND = 422, 404


class BundleItems:
    """The items and the index of a bundle, as `ServedItems`.

    Args:
        opened: The bundle with its encoder.
    """

    def __init__(self, *, opened: OpenedBundle) -> None:
        self._opened = opened
        self._filters = ItemFilters(items=opened.items)
        self._rows = {str(name): row for row, name in enumerate(opened.items["id"])}

    @property
    def name(self) -> str:
        """Name of the bundle's folder."""
        return self._opened.folder.resolve().name

    def count(self) -> int:
        """Number of items."""
        return len(self._opened)

    def columns(self) -> list[FilterColumn]:
        """The columns that a page can offer filters for."""
        return self._filters.columns()

    def among(self, filters: Sequence[str]) -> Search:
        """The search among the items that pass all filters."""
        passing = self._filters.matching(filters)
        index, searcher = self._opened.bundle.index, self._opened.searcher

        def search(query: NDArray[np.float32], k: int, of_image: bool) -> list[Neighbour]:
            rows, similarities = nearest_passing(index, query, k=k, passing=passing)
            return searcher.neighbours(rows, similarities, of_image=of_image)

        return search

    def vector(self, item_id: str) -> NDArray[np.float32]:
        """(D,) embedding of an item."""
        row, index = self._row(item_id), self._opened.bundle.index
        if not index.keeps_vectors:  # of an earlier version
            raise RequestError(
                "id: this bundle's index keeps no vectors; upload the item's picture, or export the bundle again",
                status=_WRONG,
            )
        stored: NDArray[np.float32] = index.vectors(np.array([row], dtype=np.int64))[0]
        return stored

    def item(self, item_id: str) -> Neighbour:
        """An item's columns."""
        row = np.array([self._row(item_id)], dtype=np.int64)
        (found,) = self._opened.searcher.neighbours(row, np.ones(1, np.float32), of_image=False)
        return found

    def picture(self, item_id: str) -> Path:
        """File of an item's picture."""
        return picture_file(str(self._opened.items["path"].iat[self._row(item_id)]), folders=self.pictures)

    @property
    def pictures(self) -> PictureFolders:
        """Folders of the items' pictures."""
        return self._opened.bundle.pictures

    def some_paths(self, most: int) -> list[str]:
        """Paths of items' pictures, evenly spread."""
        return [str(path) for path in self._opened.items["path"].iloc[:: max(1, self.count() // most)]]

    def __str__(self) -> str:
        return str(self._opened)

    def _row(self, item_id: str) -> int:
        row = self._rows.get(item_id)
        if row is None:
            raise RequestError("no such item", status=_NOT_FOUND)
        return row

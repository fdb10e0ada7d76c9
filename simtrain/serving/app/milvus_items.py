"""A collection in Milvus in service."""

# Shapes: D dimensions of the embedding.

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from simtrain.errors import SimtrainError
from simtrain.serving.app.filters import NOT_OFFERED, ColumnFilter, FilterColumn, ItemFilters, parsed_filters
from simtrain.serving.app.pictures import picture_file
from simtrain.serving.app.request_error import RequestError
from simtrain.serving.app.served_items import Search
from simtrain.serving.milvus.connection import MilvusAwayError
from simtrain.serving.milvus.fields import ID_FIELD, Field
from simtrain.serving.milvus.searching import PublishedCollection
from simtrain.serving.opened_bundle import OpenedBundle
from simtrain.serving.picture_folders import PictureFolders
from simtrain.serving.searcher import FoundItem, Neighbour

_WRONG, _NOT_FOUND, _BUSY = 422, 404, 503
_LOOKED_THROUGH = 10_000  # items, for the choices that a page offers
_NEVER = f'{ID_FIELD} == ""'
_KINDS = {"bool": "flag", "int64": "number", "double": "number", "varchar": "text"}


class MilvusItems:
    """The items of a published collection, as `ServedItems`.

    Args:
        published: The collection, of the bundle's embedding space, loaded.
        opened: The bundle whose encoder embeds queries, and whose thresholds hold.
        pictures: Folders of the items' pictures; none where that is not known.
    """

    def __init__(self, *, published: PublishedCollection, opened: OpenedBundle, pictures: PictureFolders) -> None:
        self._published, self._opened = published, opened
        self._pictures = pictures
        fields = published.described.fields
        self._fields = {ID_FIELD: Field(column=ID_FIELD, name=ID_FIELD, kind="varchar")}
        self._fields |= {field.column: field for field in fields if field.kind in _KINDS}

    @property
    def name(self) -> str:
        """Name that it was published under."""
        return self._published.alias

    def count(self) -> int:
        """Number of items."""
        with self._told():
            return self._published.count()

    def columns(self) -> list[FilterColumn]:
        """The columns that a page can offer filters for; where there are more than 10,000 items, without choices."""
        return self._columns

    @cached_property
    def _columns(self) -> list[FilterColumn]:
        with self._told():
            rows = self._published.some(_LOOKED_THROUGH + 1)
        if len(rows) > _LOOKED_THROUGH:
            return [
                FilterColumn(name=column, kind=_KINDS[field.kind], choices=None, lowest=None, highest=None)
                for column, field in self._fields.items()
                if column not in NOT_OFFERED
            ]
        columns = {field.column: [row.get(field.name) for row in rows] for field in self._fields.values()}
        return ItemFilters(items=pd.DataFrame(columns)).columns()

    def among(self, filters: Sequence[str]) -> Search:
        """The search among the items that pass all filters."""
        condition = milvus_condition(filters, self._fields)

        def search(query: NDArray[np.float32], k: int, of_image: bool) -> list[Neighbour]:
            with self._told():
                found = self._published.nearest(query, k=k, condition=condition)
            return self._opened.searcher.found(found, of_image=of_image)

        return search

    def vector(self, item_id: str) -> NDArray[np.float32]:
        """(D,) embedding of an item."""
        return self._found(item_id)[1]

    def item(self, item_id: str) -> Neighbour:
        """An item's columns."""
        (found,) = self._opened.searcher.found([self._found(item_id)[0]], of_image=False)
        return found

    def picture(self, item_id: str) -> Path:
        """File of an item's picture."""
        return picture_file(str(self._found(item_id)[0].item.get("path")), folders=self._pictures)

    @property
    def pictures(self) -> PictureFolders:
        """Folders of the items' pictures."""
        return self._pictures

    def some_paths(self, most: int) -> list[str]:
        """Paths of some items' pictures."""
        name = self._fields["path"].name
        with self._told():
            return [str(row[name]) for row in self._published.some(most)]

    def __str__(self) -> str:
        return (
            f"collection: '{self.name}' in {self._published.address.text} ({self.count()} items), encoder of "
            f"{self._opened.folder}"
        )

    def _found(self, item_id: str) -> tuple[FoundItem, NDArray[np.float32]]:
        with self._told():
            found = self._published.item(item_id)
        if found is None:
            raise RequestError("no such item", status=_NOT_FOUND)
        item, vector = found
        return FoundItem(item=item, similarity=1.0), vector

    @contextmanager
    def _told(self) -> Iterator[None]:
        """What Milvus refuses, without its address, which is nothing for those who ask."""
        try:
            yield
        except MilvusAwayError:
            raise RequestError("Milvus does not answer; try again later", status=_BUSY) from None
        except SimtrainError as error:
            text = str(error).replace(self._published.address.text, "Milvus").replace("--filter", "filter", 1)
            raise RequestError(text, status=_WRONG) from None


def milvus_condition(filters: Sequence[str], fields: dict[str, Field]) -> str | None:
    """Filters in Milvus's words, with the meaning that `ItemFilters.matching` gives them; None: there are none.

    Args:
        filters: See `parsed_filters`.
        fields: Column -> its field.

    Raises:
        RequestError: for another form, an unknown column or a value that is no number where one is needed.
    """
    pairs, parts = parsed_filters(filters, {column: _KINDS[field.kind] for column, field in fields.items()})
    any_of: dict[str, list[str]] = {}
    for pair in pairs:
        name, value = fields[pair.column].name, _constant(pair, fields[pair.column].kind)
        if pair.sign == "=":
            any_of.setdefault(name, []).append(f"{name} == {value}" if value is not None else _NEVER)
        elif pair.sign == "!=":
            if value is not None:
                parts.append(f"{name} != {value} or {name} is null" if name != ID_FIELD else f"{name} != {value}")
        else:
            parts.append(f"{name} {pair.sign} {value}")
    parts += [" or ".join(equal) for equal in any_of.values()]
    return " and ".join(f"({part})" for part in parts) or None


def _constant(pair: ColumnFilter, kind: str) -> str | None:
    """The value in Milvus's words; None: no item can have it."""
    match kind:
        case "int64" | "double":
            return repr(pair.number())
        case "bool":
            return pair.value.lower() if pair.value.lower() in ("true", "false") else None
    return json.dumps(pair.value, ensure_ascii=False)

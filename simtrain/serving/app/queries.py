"""A search request from its parameters to its answer."""

# Shapes: S = image_size, D dimensions of the embedding.

import asyncio
from dataclasses import asdict, dataclass
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from simtrain.serving.app.request_error import RequestError
from simtrain.serving.app.served_bundle import ServedBundle
from simtrain.serving.opened_bundle import neighbour_record

_WRONG, _NOT_FOUND = 422, 404
_SHORTEST = 1e-6  # of a vector that still has a direction
_ROUNDING = 1e-6  # of a similarity: thresholds were measured with another order of sums


class SearchParameters(BaseModel):
    """What a search asks for, besides an uploaded image."""

    model_config = ConfigDict(extra="forbid")

    id: Annotated[str | None, Field(max_length=1000, description="Search by an item of the bundle.")] = None
    url: Annotated[
        str | None, Field(max_length=4000, description="Search by the picture at this URL, if its host is allowed.")
    ] = None
    text: Annotated[
        str | None, Field(max_length=2000, description="Search by words; with an image, an id or a URL: by both.")
    ] = None
    text_share: Annotated[
        float, Field(ge=0, le=1, description="Weight of the text beside an image, 0 to 1; the image has the rest.")
    ] = 0.5
    k: Annotated[int, Field(ge=1, description="Number of results.")] = 12
    filter: Annotated[
        list[str],
        Field(
            max_length=50,
            description="column=value, column!=value, column<=number or column>=number; several = of one column mean "
            "any of the values.",
        ),
    ] = []
    min_similarity: Annotated[
        float | None, Field(ge=-1, le=1, description="Leave out what is less similar, -1 to 1.")
    ] = None
    min_precision: Annotated[
        float | None,
        Field(gt=0, lt=1, description="Leave out what is less similar than the threshold of this precision."),
    ] = None


@dataclass(frozen=True, kw_only=True)
class PictureQuery:
    """Where a query's picture comes from.

    Attributes:
        kind: `image`, `url` or `item`.
        pixels: (S, S, 3), prepared for the encoder; None: the item's stored vector is used.
        row: Row of the item; None unless it is one.
    """

    kind: str
    pixels: NDArray[np.uint8] | None
    row: int | None


async def answer(served: ServedBundle, parameters: SearchParameters, *, picture: PictureQuery | None) -> dict[str, Any]:
    """The nearest items, as plain values for JSON.

    Args:
        served: The bundle that answers.
        parameters: What is asked for.
        picture: The query's picture; None: a text alone.

    Raises:
        RequestError: for what the bundle cannot answer.
    """
    text = (parameters.text or "").strip()
    if picture is None and not text:
        raise RequestError("give an image, a url, an id or a text", status=_WRONG)
    if text and served.no_texts is not None:
        raise RequestError(f"text: {served.no_texts}", status=_WRONG)
    passing = served.filters.matching(parameters.filter)
    lowest = _lowest(served, parameters, by_text=bool(text))
    parts = []
    if picture is not None:
        parts.append((1 - parameters.text_share if text else 1.0, await _picture_vector(served, picture)))
    if text:
        share = parameters.text_share if picture is not None else 1.0
        parts.append((share, await asyncio.wrap_future(served.embed(text))))
    vector = _mixed(parts)
    own = picture.row if picture is not None else None
    spare = 0 if own is None else 1
    rows, similarities = await asyncio.wrap_future(served.nearest(vector, k=parameters.k + spare, passing=passing))
    wanted = rows != (-1 if own is None else own)  # an item is no news to itself
    if lowest is not None:
        wanted &= similarities >= lowest - _ROUNDING
    rows, similarities = rows[wanted][: parameters.k], similarities[wanted][: parameters.k]
    found = served.searcher.neighbours(rows, similarities, of_image=not text)
    kind = "text" if picture is None else f"{picture.kind}+text" if text else picture.kind
    return {
        "query": {
            "kind": kind,
            "id": parameters.id,
            "text": text or None,
            "tokens_read": served.searcher.tokens_read(text) if text else None,
        },
        "fingerprint": served.bundle.fingerprint,
        "relevance": relevance(served),
        "thresholds": [] if text else [asdict(promised) for promised in served.bundle.promises],
        "neighbours": [neighbour_record(one) for one in found],
    }


def relevance(served: ServedBundle) -> list[str]:
    """Columns whose equal values made a result right when the thresholds were measured."""
    return list((served.bundle.manifest.get("thresholds") or {}).get("relevance", []))


def row_of_item(served: ServedBundle, item_id: str) -> int:
    """Row of an item.

    Raises:
        RequestError: with status 404, if there is none of this id.
    """
    row = served.row_of(item_id)
    if row is None:
        raise RequestError("no such item", status=_NOT_FOUND)
    return row


async def _picture_vector(served: ServedBundle, picture: PictureQuery) -> NDArray[np.float32]:
    if picture.pixels is None:
        if not served.bundle.index.keeps_vectors:  # of an earlier version
            raise RequestError(
                "id: this bundle's index keeps no vectors; upload the item's picture, or export the bundle again",
                status=_WRONG,
            )
        stored: NDArray[np.float32] = served.bundle.index.vectors(np.array([picture.row], dtype=np.int64))[0]
        return stored
    return await asyncio.wrap_future(served.embed(picture.pixels))


def _mixed(parts: list[tuple[float, NDArray[np.float32]]]) -> NDArray[np.float32]:
    mean = sum(share * vector for share, vector in parts)
    length = float(np.linalg.norm(mean))
    if length < _SHORTEST:
        raise RequestError("the encoder makes nothing of this query (a flat picture?)", status=_WRONG)
    return np.asarray(mean / length, dtype=np.float32)


def _lowest(served: ServedBundle, parameters: SearchParameters, *, by_text: bool) -> float | None:
    if parameters.min_precision is None:
        return parameters.min_similarity
    if by_text:
        raise RequestError("min_precision: measured for image queries only; use min_similarity", status=_WRONG)
    promises = served.bundle.promises
    levels = [one for one in promises if one.precision >= parameters.min_precision]
    if not levels:
        known = ", ".join(f"{one.precision:g}" for one in promises) or "none, as the bundle has no thresholds"
        raise RequestError(f"min_precision: no threshold so high; there are: {known}", status=_WRONG)
    threshold = min(levels, key=lambda one: one.precision).similarity
    return max(threshold, parameters.min_similarity if parameters.min_similarity is not None else -1.0)

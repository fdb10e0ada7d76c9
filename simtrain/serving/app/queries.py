"""A search request from its parameters to its answer."""

# Shapes: S = image_size, D dimensions of the embedding.

import asyncio
from dataclasses import asdict, dataclass, replace
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from simtrain.serving.app.request_error import RequestError
from simtrain.serving.app.served_bundle import ServedBundle
from simtrain.serving.opened_bundle import neighbour_record

_WRONG = 422
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
            'any of the values. Or a condition as of simtrain search: color == "red" and price < 20.',
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
        item: Id of the item; None unless it is one.
    """

    kind: str
    pixels: NDArray[np.uint8] | None
    item: str | None


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
    search = await served.asked(lambda: served.items.among(parameters.filter))
    lowest = _lowest(served, parameters, by_text=bool(text))
    parts = []
    if picture is not None:
        parts.append((1 - parameters.text_share if text else 1.0, await _picture_vector(served, picture)))
    if text:
        share = parameters.text_share if picture is not None else 1.0
        parts.append((share, await asyncio.wrap_future(served.embed(text))))
    vector = _mixed(parts)
    own = picture.item if picture is not None else None
    wanted = parameters.k + (own is not None)  # an item is no news to itself
    found = [one for one in await served.asked(lambda: search(vector, wanted, not text)) if one.id != own]
    if lowest is not None:
        found = [one for one in found if one.similarity >= lowest - _ROUNDING]
    found = [replace(one, rank=rank) for rank, one in enumerate(found[: parameters.k], start=1)]
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


async def _picture_vector(served: ServedBundle, picture: PictureQuery) -> NDArray[np.float32]:
    if picture.pixels is not None:
        return await asyncio.wrap_future(served.embed(picture.pixels))
    return await served.asked(lambda: served.items.vector(str(picture.item)))


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

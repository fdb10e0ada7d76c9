"""`simtrain search`: nearest items of a bundle to an image or a text."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from simtrain.builders import empty_encoder
from simtrain.catalog.images import read_image
from simtrain.errors import SimtrainError
from simtrain.evaluation.plots import NeighbourTile, QueryStrip, check_plot_path, neighbour_strip
from simtrain.serving.bundle import Bundle, PromisedPrecision
from simtrain.serving.searcher import Neighbour, Searcher
from simtrain.tables import Alignment, text_table

_WHITE = 255


@dataclass(frozen=True, kw_only=True)
class SearchResult:
    """Results of a search in a bundle.

    Attributes:
        query: The image's path, or the text.
        bundle: The bundle's folder.
        fingerprint: Fingerprint of the bundle's embedding space.
        neighbours: Items found, nearest first.
        promises: The bundle's thresholds with their precision for image queries, the strictest first; they do not
            apply to text queries.
        relevance: Columns whose equal values made a result relevant when the thresholds were measured; empty without.
        by_text: Whether the query was a text.
        tokens_read: Number of tokens after which the text was truncated; None: it was read whole.
        missing_pictures: Number of neighbours whose image file is missing; a plot shows grey tiles for them.
    """

    query: str
    bundle: Path
    fingerprint: str
    neighbours: list[Neighbour]
    promises: list[PromisedPrecision]
    relevance: list[str]
    by_text: bool
    tokens_read: int | None
    missing_pictures: int

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "query": self.query,
            "bundle": str(self.bundle),
            "fingerprint": self.fingerprint,
            "thresholds": [] if self.by_text else [asdict(promised) for promised in self.promises],
            "neighbours": [_plain(found) for found in self.neighbours],
        }

    def __str__(self) -> str:
        """One line per neighbour, nearest first, with the share of right results that so similar ones have."""
        promised = bool(self.promises) and not self.by_text
        columns: list[tuple[str, Alignment]] = [("rank", "right"), ("similarity", "right")]
        columns += [("precision", "right")] if promised else []
        rows = []
        for found in self.neighbours:
            share = [f">= {found.precision:g}" if found.precision is not None else ""] if promised else []
            what = found.caption or found.label or ""
            rows.append([str(found.rank), f"{found.similarity:.3f}", *share, found.id, what])
        table = text_table([*columns, ("id", "left"), ("what", "left")], rows)
        if promised:
            same = " + ".join(self.relevance)
            levels = ", ".join(f"{each.precision:g} from {each.similarity:.3f}" for each in reversed(self.promises))
            return (
                f"{table}\nprecision: share of results at least so similar that have the same {same}, on val: {levels}"
            )
        if self.promises:
            return f"{table}\nprecision is told of image queries only; a text's similarities are others"
        return table


def _plain(found: Neighbour) -> dict[str, Any]:
    """A neighbour for JSON; a column of the catalogue with the name of one of our fields is left out."""
    own = {
        "rank": found.rank,
        "id": found.id,
        "similarity": found.similarity,
        "precision": found.precision,
        "path": found.path.as_posix(),
        "product": found.product,
        "label": found.label,
        "caption": found.caption,
    }
    return {**own, **{name: value for name, value in found.other.items() if name not in own}}


def search(folder: Path, *, image: Path | None, text: str | None, k: int, plot: Path | None) -> SearchResult:
    """The k items of a bundle that are nearest to an image file or to a text.

    Args:
        folder: The bundle's folder.
        image: Query image; give either this or `text`.
        text: Query text, for bundles whose encoder reads text.
        k: Number of neighbours, 1 or more; all items if there are fewer.
        plot: File (.png) for a plot of the query and its neighbours, or None.

    Raises:
        SimtrainError: for anything that the user can fix.
    """
    if (image is None) == (text is None):
        raise SimtrainError('search: give either --image PATH or --text "..."')
    if text is not None and not text.strip():
        raise SimtrainError("search: --text is empty; write what to look for")
    if plot is not None:
        check_plot_path(plot)
    pixels = read_image(image) if image is not None else None
    bundle = Bundle.open(folder)
    searcher = Searcher(bundle=bundle, encoder=bundle.load_encoder(empty_encoder), device=torch.device("cpu"))
    neighbours = searcher.by_image(pixels, k=k) if pixels is not None else searcher.by_text(str(text), k=k)
    if plot is not None:
        tiles = [
            NeighbourTile(
                path=bundle.image_path(found.row),
                similarity=found.similarity,
                caption=found.caption or found.label or found.id,
                relevant=None,
            )
            for found in neighbours
        ]
        picture = pixels if pixels is not None else np.full((1, 1, 3), _WHITE, dtype=np.uint8)
        neighbour_strip(plot, [QueryStrip(image=picture, caption=image.name if image else text, neighbours=tiles)])
    return SearchResult(
        query=str(image if image is not None else text),
        bundle=folder,
        fingerprint=bundle.fingerprint,
        neighbours=neighbours,
        promises=bundle.promises,
        relevance=list((bundle.manifest.get("thresholds") or {}).get("relevance", [])),
        by_text=text is not None,
        tokens_read=searcher.tokens_read(text) if text is not None else None,
        missing_pictures=sum(not bundle.image_path(found.row).is_file() for found in neighbours),
    )

"""Opened bundle: encoder in memory, search queries and search results."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from simtrain.data.given_images import GivenImage, GivenImages
from simtrain.errors import SimtrainError
from simtrain.evaluation.plots import NeighbourTile, QueryStrip, check_plot_path, neighbour_strip
from simtrain.serving.bundle import Bundle, PromisedPrecision
from simtrain.serving.picture_folders import is_there
from simtrain.serving.searcher import Neighbour, Searcher
from simtrain.tables import Alignment, text_table

_WHITE = 255


@dataclass(frozen=True, kw_only=True)
class SearchResult:
    """Results of a search in a bundle; iterate over it for the hits, and `print` shows a table.

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
            "neighbours": [neighbour_record(found) for found in self.neighbours],
        }

    def __iter__(self) -> Iterator[Neighbour]:
        """The neighbours, nearest first."""
        return iter(self.neighbours)

    def __len__(self) -> int:
        """How many neighbours there are."""
        return len(self.neighbours)

    def __str__(self) -> str:
        """One line per neighbour, nearest first, with the share of right results that so similar ones have."""
        if not self.neighbours:
            return "no item passes the filter"
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
            return f"{table}\nprecision is known for image queries only; similarities to texts are on another scale"
        return table


def neighbour_record(found: Neighbour) -> dict[str, Any]:
    """A neighbour for JSON; a column of the shop's own that has the name of one of ours gives way."""
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


@dataclass(frozen=True, kw_only=True)
class SearchQuery:
    """A query of a search, read and checked.

    Attributes:
        name: Path of the image, or the text.
        pixels: (H, W, 3) uint8 RGB of the image; None for a text.
        text: The text; None for an image.
        plot: File for a picture of query and neighbours; None: no picture.
    """

    name: str
    pixels: NDArray[np.uint8] | None
    text: str | None
    plot: Path | None


def read_query(image: GivenImage | None, *, text: str | None, plot: str | Path | None) -> SearchQuery:
    """Check a query and read its image.

    Args:
        image: Query image: a file, an (H, W, 3) uint8 RGB array or a PIL image; give either this or `text`.
        text: Query text.
        plot: File for a picture of query and neighbours (.png); None: no picture.

    Raises:
        SimtrainError: for a query that is neither, both or empty, an image that cannot be read, or a plot that cannot
            be drawn.
    """
    if (image is None) == (text is None):
        raise SimtrainError('search: give either --image PATH or --text "..."')
    if text is not None and not text.strip():
        raise SimtrainError("search: --text is empty; write what to look for")
    if plot is not None:
        check_plot_path(Path(plot))
    if isinstance(image, str | Path) and re.match(r"https?:/", str(image)):
        raise SimtrainError(f"search: --image {image}: an address; download the picture, and name its file")
    if isinstance(image, str | Path) and Path(image).expanduser().is_dir():
        raise SimtrainError(f"search: --image {image}: is a folder; name one picture in it")
    pixels = GivenImages(images=[image]).read(0, at_least=None) if image is not None else None
    name = str(image) if isinstance(image, str | Path) else text or "an image in memory"
    return SearchQuery(name=name, pixels=pixels, text=text, plot=None if plot is None else Path(plot))


@dataclass(frozen=True, kw_only=True)
class OpenedBundle:
    """A bundle with its encoder in memory, ready for any number of searches. `print` shows what is in it.

    Attributes:
        bundle: Manifest, items and index of the bundle.
        load_searcher: Gives its encoder and index, ready to answer; called once, when they are first needed.
        exported: The lines of `export`, where it was just written; None: it was there before.
    """

    bundle: Bundle
    load_searcher: Callable[[], Searcher]
    exported: str | None

    @cached_property
    def searcher(self) -> Searcher:
        """Its encoder and index."""
        return self.load_searcher()

    @property
    def folder(self) -> Path:
        """Where it lies."""
        return self.bundle.folder

    @property
    def items(self) -> pd.DataFrame:
        """One row per image of the index: id, path, product, label, caption and the shop's own columns."""
        return self.bundle.items

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON: its folder, and its manifest."""
        return {**self.bundle.manifest, "folder": str(self.folder)}

    def encode(self, images: Sequence[GivenImage] | GivenImage) -> NDArray[np.float32]:
        """Embed images in the bundle's space.

        Args:
            images: N paths, (H, W, 3) uint8 RGB arrays or PIL images; one of them alone is N = 1.

        Returns:
            (N, D) float32 of unit length.
        """
        reader = GivenImages.of(images)
        return self.searcher.embed([reader.read(row, at_least=None) for row in range(len(reader.images))])

    def __len__(self) -> int:
        return len(self.items)

    def __str__(self) -> str:
        kind = self.bundle.encoder_config["kind"]
        return self.exported or f"bundle: {self.folder} ({len(self)} items), encoder {kind}"

    def search(
        self, image: GivenImage | None = None, *, text: str | None = None, k: int = 5, plot: str | Path | None = None
    ) -> SearchResult:
        """The k items that are nearest to an image or to a text.

        Args:
            image: Query image: a file, an (H, W, 3) uint8 RGB array or a PIL image; give either this or `text`.
            text: Query text, for bundles whose encoder reads text.
            k: Neighbours, 1 or more; all items if there are fewer.
            plot: File for a strip of thumbnails of query and neighbours (.png); None: no picture.

        Returns:
            The hits, nearest first, each with `rank`, `similarity`, `id`, `product`, `label`, `caption` and `path`.

        Raises:
            SimtrainError: for anything that the user can mend.
        """
        return self.answer(read_query(image, text=text, plot=plot), k=k)

    def answer(self, query: SearchQuery, *, k: int) -> SearchResult:
        """The k items that are nearest to a query that was read; see `search`."""
        if query.pixels is not None:
            neighbours = self.searcher.by_image(query.pixels, k=k)
        else:
            neighbours = self.searcher.by_text(str(query.text), k=k)
        if query.plot is not None:
            self._draw(query.plot, query, neighbours)
        return SearchResult(
            query=query.name,
            bundle=self.bundle.folder,
            fingerprint=self.bundle.fingerprint,
            neighbours=neighbours,
            promises=self.bundle.promises,
            relevance=list((self.bundle.manifest.get("thresholds") or {}).get("relevance", [])),
            by_text=query.text is not None,
            tokens_read=self.searcher.tokens_read(query.text) if query.text is not None else None,
            missing_pictures=sum(not is_there(self._picture(found)) for found in neighbours),
        )

    def _picture(self, found: Neighbour) -> Path | None:
        return self.bundle.pictures.path_of(found.path.as_posix())

    def _draw(self, path: Path, query: SearchQuery, neighbours: Sequence[Neighbour]) -> None:
        tiles = [
            NeighbourTile(
                path=self._picture(found),
                similarity=found.similarity,
                caption=found.caption or found.label or found.id,
                relevant=None,
            )
            for found in neighbours
        ]
        blank = np.full((1, 1, 3), _WHITE, dtype=np.uint8)
        image, caption = (blank, query.name) if query.pixels is None else (query.pixels, Path(query.name).name)
        neighbour_strip(path, [QueryStrip(image=image, caption=caption, neighbours=tiles)])

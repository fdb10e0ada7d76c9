"""Images of a comparison's report: shown queries, embedding maps, suspected labels and possible duplicates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from simtrain.evaluation.label_errors import LabelSuspects


@dataclass(frozen=True, kw_only=True)
class FoundImage:
    """A gallery image that a query found."""

    row: int
    """Row of the whole catalogue."""
    similarity: float
    """Cosine similarity to the query, -1..1."""
    relevant: bool


@dataclass(frozen=True, kw_only=True)
class ShownQuery:
    """A query and its nearest images by several encoders, nearest first."""

    row: int
    """Catalogue row of the query."""

    found: dict[str, tuple[FoundImage, ...]]
    """Name of an encoder -> nearest images."""
    average_precision: float | None = None
    """map_at_r of this query, 0..1, by the encoder that it is a worst query of; None for a query drawn at random."""


@dataclass(frozen=True, kw_only=True)
class EmbeddingMap:
    """2-D projection of the embeddings of some images by one encoder."""

    encoder: str
    method: str
    """PCA or UMAP."""

    rows: tuple[int, ...]
    """Catalogue rows of the images."""
    x: tuple[float, ...]
    """First coordinate of each image."""
    y: tuple[float, ...]
    """Second coordinate of each image."""
    groups: tuple[str, ...]
    """Category of each image, by which points are coloured; empty: none."""


@dataclass(frozen=True, kw_only=True)
class PossibleDuplicate:
    """Two images of different products with nearly the same embedding: perhaps one product listed twice."""

    rows: tuple[int, int]
    """Catalogue rows of the two images."""
    similarity: float
    """Cosine similarity of the two, -1..1."""


@dataclass(frozen=True, kw_only=True)
class ReportImages:
    """Everything that the report shows as images."""

    captions: Mapping[int, str]
    """Catalogue row -> caption (id and label), for every row that is shown."""
    queries: tuple[ShownQuery, ...]
    """Queries drawn at random, the same for every encoder."""
    worst: dict[str, tuple[ShownQuery, ...]]
    """Name of an encoder -> its worst queries, worst first."""
    maps: tuple[EmbeddingMap, ...]
    suspects: LabelSuspects | None
    """Suspected label errors by the embeddings of `reference_encoder`, with catalogue rows; None without labels."""
    alike: tuple[PossibleDuplicate, ...]
    """Pairs of images that may show one product, by the embeddings of `reference_encoder`."""
    reference_encoder: str
    """Name of the encoder whose embeddings `suspects` and `alike` come from."""

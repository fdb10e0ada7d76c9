"""What a comparison of encoders found: plain data that a screen's table, a JSON file and a page are made of."""

# Shapes: G gallery images, D dimensions of an embedding.

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any, Literal

from simtrain.comparison.summary import report_lines
from simtrain.comparison.verdict import Verdict
from simtrain.evaluation.breakdown import CategoryFigures, ConfusedPair
from simtrain.evaluation.geometry import Geometry
from simtrain.evaluation.label_errors import LabelSuspects
from simtrain.evaluation.statistics import Interval
from simtrain.evaluation.thresholds import SimilarityThresholds

EncoderKind = Literal["chance", "off_the_shelf", "whitened", "run"]


@dataclass(frozen=True, kw_only=True)
class RelevanceFigures:
    """How well an encoder finds what one idea of relevance calls the same."""

    relevance: str
    """The column, or columns joined by ` + `."""
    queries: int
    """Scored: those with something to find."""
    lone_queries: int
    """The others."""
    metrics: dict[str, Interval]
    """Name -> mean over the queries and interval, 0..1."""
    macro: dict[str, Interval]
    """Likewise, over the classes of the category column, each of which counts alike; empty without such a column."""
    verdict: Verdict | None
    """Against the baseline in the main metric; None for the baseline itself and for chance."""


@dataclass(frozen=True, kw_only=True)
class VariantFigure:
    """How often a changed copy of an image finds the image itself first."""

    name: str
    """Such as rotated_10."""
    words: str
    """Such as "turned by 10 degrees"."""
    share: Interval
    """0..1."""
    queries: int


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What an encoder costs beside its quality."""

    device: str
    """That it ran on, such as cpu (2 threads)."""
    embedding_seconds: float | None
    """Per 1,000 images, reading and preparing them included; None where none had to be embedded long enough to tell."""
    search_seconds: float
    """Per 1,000 queries, exact search among the gallery on the CPU."""
    gallery: int
    """G."""
    embedding_bytes: int
    """Per 1,000 images."""


@dataclass(frozen=True, kw_only=True)
class EncoderFigures:
    """One row of a comparison."""

    name: str
    kind: EncoderKind
    words: str
    """What it is, for a person."""
    seeds: int
    """Trainings that its figures are the mean of, of those that differ in their seed alone; 1 for what isn't trained.
    """
    embedding_size: int | None
    """D; None for chance."""
    relevances: dict[str, RelevanceFigures]
    """By `RelevanceFigures.relevance`, the main one first."""
    grades: dict[str, Interval]
    """ndcg_at_k over the levels of `ComparisonReport.levels`; empty where there is one level alone."""
    recall_curve: tuple[float, ...] = ()
    """recall_at_k by the main relevance for k = 1, 2, 3 …"""
    categories: list[CategoryFigures] = field(default_factory=list)
    """By the main relevance, in the order of `ComparisonReport.categories`; empty without a category column."""
    confused: list[ConfusedPair] = field(default_factory=list)
    """The categories taken for another most often."""
    robustness: list[VariantFigure] = field(default_factory=list)
    text: dict[str, Interval] = field(default_factory=dict)
    """`text_to_image_recall_at_5` and the like; empty for what reads no texts, or without texts."""
    geometry: Geometry | None = None
    thresholds: SimilarityThresholds | None = None
    """By the main relevance, on the validation split."""
    cost: Cost | None = None
    details: dict[str, Any] = field(default_factory=dict)
    """For the record: configuration, what its weights are, fingerprint."""


@dataclass(frozen=True, kw_only=True)
class Unavailable:
    """An encoder that was asked for and cannot be had here."""

    name: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class FoundImage:
    """A neighbour of a query."""

    row: int
    """Of the catalogue."""
    similarity: float
    relevant: bool


@dataclass(frozen=True, kw_only=True)
class ShownQuery:
    """A query and what each of some encoders finds for it, nearest first."""

    row: int
    """Of the catalogue."""
    found: dict[str, tuple[FoundImage, ...]]
    """By the encoder's name."""
    average_precision: float | None = None
    """map_at_r of this query by the encoder whose worst it is; None for a query drawn at random."""


@dataclass(frozen=True, kw_only=True)
class EmbeddingMap:
    """Embeddings of some images on a plane."""

    encoder: str
    method: str
    """PCA or UMAP."""
    rows: tuple[int, ...]
    """Of the catalogue."""
    x: tuple[float, ...]
    y: tuple[float, ...]
    groups: tuple[str, ...]
    """The category of each, by which points are coloured; empty text: none."""


@dataclass(frozen=True, kw_only=True)
class AlikePair:
    """Two images of different products that an encoder takes for nearly the same."""

    rows: tuple[int, int]
    """Of the catalogue."""
    similarity: float


@dataclass(frozen=True, kw_only=True)
class Pictures:
    """What is to be looked at."""

    captions: Mapping[int, str]
    """Row -> a few words for the image: its id and what it is. Of every row that is shown."""
    queries: tuple[ShownQuery, ...]
    """Drawn at random, the same for every encoder."""
    worst: dict[str, tuple[ShownQuery, ...]]
    """Encoder -> the queries that it does worst, worst first."""
    maps: tuple[EmbeddingMap, ...]
    suspects: LabelSuspects | None
    """Labels that look wrong, by the embeddings of `judged_by`; its rows are of the catalogue; None without labels."""
    alike: tuple[AlikePair, ...]
    """Pairs that may be duplicates under two products, by the embeddings of `judged_by`."""
    judged_by: str
    """The encoder."""


@dataclass(frozen=True, kw_only=True)
class ComparisonReport:
    """Everything that `simtrain compare` found."""

    catalog: str
    data: dict[str, Any]
    """Fingerprint of the catalogue."""
    images: str
    """Where the pictures were read from."""
    split: str
    folds: tuple[int, ...]
    """Those whose test splits are pooled; empty: the catalogue's own split."""
    queries: int
    """That ask, also those without anything to find."""
    products: int
    """That they are of."""
    gallery: int
    """Images that are searched."""
    copies: int
    """Queries that have an exact copy of themselves in the gallery; copies are left out of the figures."""
    relevance: list[str]
    """Ideas of relevance, the main one first."""
    metric: str
    """The main metric, that verdicts go by."""
    levels: list[str]
    """What ndcg_at_k grades by, the most alike first."""
    category: str | None
    """The column of `categories`; None: there is none."""
    categories: list[str]
    baseline: str
    """The encoder that the others are judged against by the main relevance."""
    baseline_reason: str
    """Why it."""
    baselines: dict[str, str]
    """By idea of relevance the encoder that the others are judged against: what is best at finding a product need not
    be best at finding a class."""
    resolvable: dict[str, float | None]
    """By relevance: the smallest difference of recall_at_1 that the split can resolve, told before any encoder ran;
    None: none can."""
    resolvable_words: list[str]
    """The same in sentences, with what was assumed."""
    encoders: list[EncoderFigures]
    """Chance first, then off the shelf, whitened, runs."""
    unavailable: list[Unavailable]
    test_readings: dict[str, int]
    """Run -> how often its test figures have been read, this time included."""
    confidence: float
    draws: int
    made_with: dict[str, Any]
    """Versions."""
    pictures: Pictures

    def encoder(self, name: str) -> EncoderFigures:
        """The row of a name.

        Raises:
            KeyError: if there is none.
        """
        for figures in self.encoders:
            if figures.name == name:
                return figures
        raise KeyError(name)

    def verdicts(self) -> list[Verdict]:
        """All of them: runs first, then the others, in their order."""
        ordered = sorted(self.encoders, key=lambda figures: figures.kind != "run")
        found = [of.verdict for figures in ordered for of in figures.relevances.values()]
        return [verdict for verdict in found if verdict is not None]

    def hints(self) -> list[str]:
        """Sentences on encoders that no run has trained and that are better than the baseline which val has chosen."""
        names: dict[str, list[str]] = {}
        for verdict in self.verdicts():
            if verdict.word == "better" and self.encoder(verdict.encoder).kind != "run":
                names.setdefault(verdict.relevance, []).append(verdict.encoder)
        return [
            f"By {relevance} {' and '.join(better)}, which no run has trained, {'is' if len(better) == 1 else 'are'} "
            f"better than {self.baselines[relevance]} too: --baseline {better[0]} judges the others against it."
            for relevance, better in names.items()
        ]

    def __str__(self) -> str:
        return "\n".join(report_lines(self))

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; what cannot be told is null. The pictures are for the page alone."""
        left_out = ("pictures",)
        plain = {field.name: _plain(getattr(self, field.name)) for field in fields(self) if field.name not in left_out}
        return {**plain, "verdicts": _plain(self.verdicts())}


def _plain(value: Any) -> Any:
    if hasattr(value, "to_dict"):
        return _plain(value.to_dict())
    if is_dataclass(value):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {str(name): _plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return None if isinstance(value, float) and math.isnan(value) else value

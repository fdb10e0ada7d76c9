"""Result of a comparison as plain data, for the console table, the JSON file and the page."""

# Shapes: G gallery images, D dimensions of an embedding.

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any, Literal

from simtrain.comparison.recommendation import Recommendation
from simtrain.comparison.report_images import ReportImages
from simtrain.comparison.summary import report_lines
from simtrain.comparison.verdict import Verdict
from simtrain.evaluation.breakdown import CategoryFigures, ConfusedPair
from simtrain.evaluation.geometry import Geometry
from simtrain.evaluation.statistics import Interval
from simtrain.evaluation.thresholds import SimilarityThresholds

_ROUNDING = 1e-9

EncoderKind = Literal["chance", "off_the_shelf", "whitened", "run"]


@dataclass(frozen=True, kw_only=True)
class RelevanceFigures:
    """Metrics of an encoder by one definition of relevance."""

    relevance: str
    """The column, or columns joined by ` + `."""
    queries: int
    """Number of queries scored: those with a relevant gallery image."""
    lone_queries: int
    """Number of queries without a relevant gallery image."""
    metrics: dict[str, Interval]
    """Name -> mean over the queries and interval, 0..1."""
    macro: dict[str, Interval]
    """Name -> mean over the classes of the category column, each of equal weight, and interval; empty without one."""
    verdict: Verdict | None
    """Verdict against the baseline in the main metric; None for the baseline itself and for chance."""

    @property
    def nothing_is_wrong(self) -> bool:
        """Of chance: whether every gallery image is relevant to every query."""
        return self.metrics["map_at_r"].mean > 1 - _ROUNDING


@dataclass(frozen=True, kw_only=True)
class RobustnessFigure:
    """Share of altered copies of images whose nearest image is the original."""

    name: str
    """Name of the alteration, such as `rotated_10`."""
    words: str
    """Description of the alteration for people, such as "turned by 10 degrees"."""
    share: Interval
    """Share of the altered copies, 0..1, and its interval."""
    queries: int
    """Number of altered copies."""


@dataclass(frozen=True, kw_only=True)
class Cost:
    """Cost of an encoder: time of embedding and search, memory."""

    device: str
    """Device that the encoder ran on, such as `cpu (2 threads)`."""
    embedding_seconds: float | None
    """Seconds per 1,000 images, reading and preprocessing included; None where too few images were embedded."""
    search_seconds: float
    """Seconds per 1,000 queries of exact search in the gallery on the CPU."""
    gallery: int
    """Number of gallery images, G."""
    embedding_bytes: int
    """Bytes of the embeddings of 1,000 images."""


@dataclass(frozen=True, kw_only=True)
class EncoderFigures:
    """Results of one encoder of a comparison."""

    name: str
    kind: EncoderKind
    words: str
    """Description of the encoder for people."""
    seeds: int
    """Number of trainings with different seeds that the metrics are the mean of; 1 for encoders without training."""
    embedding_size: int | None
    """Number of dimensions of an embedding, D; None for chance."""
    relevances: dict[str, RelevanceFigures]
    """`RelevanceFigures.relevance` -> metrics, the main one first."""
    grades: dict[str, Interval]
    """Name -> ndcg_at_k over the levels of `ComparisonReport.levels`, 0..1; empty with fewer than two levels."""
    title: str = ""
    """Name for sentences, such as "untouched EfficientNet-Lite0, 224 px, whitened"; empty: `name`."""
    export: tuple[str, ...] | None = None
    """Arguments of `simtrain export` that make a bundle of it, but for `--out`; None: it cannot be exported by them."""
    recall_curve: tuple[float, ...] = ()
    """recall_at_k by the main relevance, 0..1, for k = 1, 2, 3 …; empty: unknown."""
    categories: list[CategoryFigures] = field(default_factory=list)
    """Metrics by category and main relevance, in the order of `ComparisonReport.categories`; empty without a category
    column."""
    confused: list[ConfusedPair] = field(default_factory=list)
    """Pairs of categories that are confused most often."""
    robustness: list[RobustnessFigure] = field(default_factory=list)
    text: dict[str, Interval] = field(default_factory=dict)
    """Text retrieval metrics, such as `text_to_image_recall_at_5`; empty for encoders without a text tower, or a
    catalogue without texts."""
    geometry: Geometry | None = None
    thresholds: SimilarityThresholds | None = None
    """Similarity thresholds by the main relevance, on the validation split."""
    cost: Cost | None = None
    details: dict[str, Any] = field(default_factory=dict)
    """Record of the encoder: configuration, weights, fingerprint."""


@dataclass(frozen=True, kw_only=True)
class TextMapFigures:
    """Results of a linear map from texts to images, which joins two encoders without training them."""

    name: str
    runs: tuple[str, ...]
    """Runs that began with these two encoders, and are judged against the map."""
    words: str
    """Description of the map for people."""
    strengths: tuple[float, ...]
    """Strength of each fold's ridge, chosen on its training texts, in units of their mean variance along an axis."""
    training_texts: tuple[int, ...]
    """Number of different texts that the map of each fold was fitted on."""
    training_images: tuple[int, ...]
    """Number of images that these texts belong to."""
    text: dict[str, Interval]
    """Text retrieval metrics, named as in `EncoderFigures.text`."""


@dataclass(frozen=True, kw_only=True)
class Unavailable:
    """An encoder that could not be loaded."""

    name: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class ComparisonReport:
    """Results of `simtrain compare`."""

    catalog: str
    data: dict[str, Any]
    """Fingerprint of the catalogue."""
    images: str
    """Where the images were read from, as a phrase."""
    split: str
    folds: tuple[int, ...]
    """Numbers of the folds whose test splits are pooled; empty: the catalogue's own split."""
    queries: int
    """Number of queries, also those without a relevant gallery image."""
    products: int
    """Number of products that the queries belong to."""
    gallery: int
    """Number of gallery images."""
    copies: int
    """Number of queries with an exact copy of themselves in the gallery; copies are left out of the metrics."""
    near_copies: int
    """Number of queries with a near copy of themselves in the gallery, by the main relevance; it counts neither as a
    find nor as a miss."""
    relevance: list[str]
    """Definitions of relevance, the main one first."""
    relevance_words: dict[str, str]
    """Definition of relevance -> what is relevant, as a phrase, such as "same product"."""
    metric: str
    """The main metric, which verdicts are based on."""
    levels: list[str]
    """Levels of relevance of ndcg_at_k, the most alike first."""
    category: str | None
    """The column of `categories`; None: there is none."""
    categories: list[str]
    baseline: str
    """Name of the encoder that the others are compared with by the main relevance."""
    baseline_reason: str
    """Why it is the baseline."""
    baselines: dict[str, str]
    """Definition of relevance -> name of the baseline: the best encoder for products need not be the best for
    classes."""
    resolvable: dict[str, float | None]
    """Definition of relevance -> smallest difference of recall_at_1 that the split can detect, computed before any
    encoder ran; None: none can be detected."""
    resolvable_words: list[str]
    """The same for recall_at_1 and map_at_r in sentences, with what was assumed, and measured on val."""
    encoders: list[EncoderFigures]
    """Chance first, then off the shelf, whitened, runs."""
    unavailable: list[Unavailable]
    test_readings: dict[str, int]
    """Run -> how often its test figures have been read, this time included."""
    confidence: float
    draws: int
    made_with: dict[str, Any]
    """Versions of the libraries."""
    pictures: ReportImages
    recommendation: Recommendation | None = None
    """What to do now; None: by the main definition of relevance nothing wrong can be found."""
    resolvable_map_at_r: dict[str, float | None] = field(default_factory=dict)
    """As `resolvable`, for map_at_r."""
    resolvable_on_val: dict[str, dict[str, float | None]] = field(default_factory=dict)
    """Definition of relevance -> recall_at_1 and map_at_r -> the smallest difference, by how the baseline and the best
    other encoder differ on val; empty where val has queries of fewer than 10 products, or is what is evaluated."""
    texts: str | None = None
    """What the texts are: `captions` or `classes`; None: no encoder embeds texts, or there are none."""
    text_maps: list[TextMapFigures] = field(default_factory=list)
    """Linear maps beside the runs that embed texts; empty without such runs or without captions of training images."""
    text_verdicts: list[Verdict] = field(default_factory=list)
    """Verdicts of these runs against their maps in `text_to_image_recall_at_1`, corrected together."""

    def encoder(self, name: str) -> EncoderFigures:
        """The figures of an encoder by its name.

        Raises:
            KeyError: if there is none.
        """
        for figures in self.encoders:
            if figures.name == name:
                return figures
        raise KeyError(name)

    def verdicts(self) -> list[Verdict]:
        """All verdicts: runs first, then the others, in their order."""
        ordered = sorted(self.encoders, key=lambda figures: figures.kind != "run")
        found = [of.verdict for figures in ordered for of in figures.relevances.values()]
        return [verdict for verdict in found if verdict is not None]

    def verdict(self, encoder: object) -> Verdict:
        """The verdict of one encoder by the main relevance; `print` shows it in sentences.

        Args:
            encoder: Its name, or the run or loaded encoder that took part.

        Raises:
            ValueError: if it took no part, or is the baseline that the others are judged against.
        """
        name = str(getattr(encoder, "name", encoder))
        names = [figures.name for figures in self.encoders]
        if name not in names:
            raise ValueError(f"{name}: not compared; compared were {', '.join(names)}")
        found = self.encoder(name).relevances[self.relevance[0]].verdict
        if found is None:
            raise ValueError(f"{name}: has no verdict, because it is the baseline")
        return found

    def title(self, name: str) -> str:
        """Name of an encoder for sentences."""
        return next((one.title for one in self.encoders if one.name == name and one.title), name)

    def warnings(self) -> list[str]:
        """Sentences on definitions of relevance by which nothing wrong can be found: every encoder has 100 %."""
        chance = [one for one in self.encoders if one.kind == "chance"]
        return [
            f"warning: by {relevance} every gallery image is relevant to every query: nothing wrong can be found, and "
            "100 % says nothing; take another definition with --set relevance=COLUMN"
            for one in chance
            for relevance, of in one.relevances.items()
            if of.nothing_is_wrong
        ]

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
        """Plain values for JSON; unknown values are null. The pictures are for the page alone."""
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

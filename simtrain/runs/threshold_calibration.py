"""Calibration of similarity thresholds for a bundle.

Queries are those of the validation split: training images lie nearer to each other than a customer's photo will. They
are searched for among *all* images that the bundle will hold, leave-one-out, and not among their own split as for the
bundle's figures: a gallery five times as large has more images that look alike, and a threshold of the split alone
would promise too much: of 300 rendered products the share of 0.3 was reached at 0.948 among the split's 200 images, at
0.989 among all 1,500. Exact copies of a picture count once. Images of `test` are among those that can be found, as in
the bundle, but ask nothing, and no figure of that split comes of it. The validation split has chosen the epoch (and
`alpha`), which flatters its thresholds a little.
"""

from dataclasses import dataclass
from typing import Any, get_args

from torch import Tensor

from simtrain.builders.bootstrap import build_bootstrap
from simtrain.builders.relevance import build_relevance
from simtrain.catalog.table import Catalog
from simtrain.config import RunConfig
from simtrain.config.evaluation import SplitName
from simtrain.evaluation.chosen_rows import chosen_rows
from simtrain.evaluation.protocol import retrieval_task
from simtrain.evaluation.thresholds import SimilarityThresholds, ThresholdSettings, similarity_thresholds

_SPLIT: SplitName = "val"
_BINS = 200
_NOT_IN_MANIFEST = ("thresholds", "neighbour_pairs", "all_pairs")


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """Calibrated thresholds, or why there are none.

    Attributes:
        thresholds: The thresholds; None: there are none, for `reason`.
        reason: Why there are none, as a sentence; None where there are some.
        split: Split of the queries.
        relevance: Columns whose equal values make a result relevant, or the name of another definition.
        relevance_description: Definition of relevance as a phrase, such as "same product".
        confidence: Level of the intervals, between 0 and 1.
    """

    thresholds: SimilarityThresholds | None
    reason: str | None
    split: str
    relevance: list[str]
    relevance_description: str
    confidence: float

    def lines(self) -> list[str]:
        """One line with the thresholds, and one for each precision without a threshold, with the reason."""
        calibrated = self.thresholds
        if calibrated is None:
            return [f"no similarity threshold: {self.reason}"]
        levels = [
            f"{level.similarity:.3f} for {100 * level.wanted_precision:g} % precision "
            f"({level.positives + level.negatives} pairs)"
            for level in calibrated.thresholds
            if level.similarity is not None
        ]
        answer = (
            f"similarity thresholds: {', '.join(levels) or 'none'}; relevant = {self.relevance_description}, the "
            f"{calibrated.neighbours} nearest of {calibrated.queries} queries of {self.split} among all "
            f"{calibrated.gallery} images"
        )
        refused = [
            f"no similarity for {100 * level.wanted_precision:g} % precision: {level.reason}"
            for level in calibrated.thresholds
            if level.reason is not None
        ]
        return [answer, *refused]

    def to_dict(self) -> dict[str, Any] | None:
        """Plain values for the bundle's manifest: each level with the pairs behind it, without histograms."""
        if self.thresholds is None:
            return None
        measured = self.thresholds.to_dict()
        on = {name: value for name, value in measured.items() if name not in _NOT_IN_MANIFEST}
        return {
            "split": self.split,
            "relevance": self.relevance,
            "confidence": self.confidence,
            **on,
            "levels": measured["thresholds"],
        }


def calibrate(config: RunConfig, catalog: Catalog, embeddings: Tensor, *, scored: bool) -> Calibration:
    """Calibrate similarity thresholds of an encoder on the validation split, for image queries.

    Args:
        config: The run's configuration: precisions, neighbours and relevance.
        catalog: Catalogue of N images.
        embeddings: (N, D) unit embeddings in the catalogue's order.
        scored: Whether the catalogue has products or labels to score results by.
    """
    relevance = build_relevance(config.relevance, catalog, exclude=config.evaluation.exclude)
    settings = config.export.thresholds
    thresholds, reason = None, None
    if scored:
        task = retrieval_task(catalog, split=_SPLIT, gallery_splits=get_args(SplitName), relevance=relevance)
        thresholds = similarity_thresholds(
            task.retrieval_set(chosen_rows(embeddings, task.rows)),
            task.clusters[task.queries],
            settings=ThresholdSettings(
                precisions=settings.precisions,
                neighbours=settings.neighbours,
                minimum_errors=settings.minimum_errors,
                maximum_queries=settings.maximum_queries,
                bins=_BINS,
                bootstrap=build_bootstrap(config),
            ),
        )
    else:
        reason = "the catalogue has neither products nor labels, so no result is known to be right"
    return Calibration(
        thresholds=thresholds,
        reason=reason,
        split=_SPLIT,
        relevance=relevance.columns_or_name(),
        relevance_description=relevance.description,
        confidence=config.evaluation.confidence,
    )

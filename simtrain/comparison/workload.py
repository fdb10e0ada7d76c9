"""How much a comparison has to do: encoders, images, and the time that embedding takes, from a few images of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from simtrain.comparison.whitened_variants import whitened_variants
from simtrain.errors import SimtrainError
from simtrain.phrases import counted

if TYPE_CHECKING:
    from simtrain.comparison.candidates import Candidate
    from simtrain.comparison.embeddings import Embedder
    from simtrain.comparison.protocol import ComparisonProtocol

WORTH_TIMING = 500
"""Images, below which embedding ends before its time could be measured."""
_TIMED_IMAGES = 16


@dataclass(frozen=True, kw_only=True)
class Workload:
    """What a comparison has to do. `print` shows it in a line.

    Attributes:
        encoders: Number of encoders, their whitened variants not counted.
        variants: Number of whitened variants, which embed nothing.
        images: Number of different images that are embedded.
        seconds: How long the embedding takes, at a guess from a few images; None: not measured.
    """

    encoders: int
    variants: int
    images: int
    seconds: float | None

    def __str__(self) -> str:
        variants = f" and {counted(self.variants, 'whitened variant')}" if self.variants else ""
        time_needed = "" if self.seconds is None else f", {_about(self.seconds)}"
        return f"{counted(self.encoders, 'encoder')}{variants}, {self.images:,} images{time_needed}"


def workload_of(candidates: Sequence[Candidate], protocol: ComparisonProtocol, embedder: Embedder) -> Workload:
    """Count what there is to do, and time each encoder on a few images that have no embedding yet.

    Args:
        candidates: Encoders to compare.
        protocol: Protocol of the comparison, with the images to alter.
        embedder: Of the catalogue; it shows the progress of the timing.
    """
    rows = np.unique(np.concatenate([fold.rows_to_embed(training=False) for fold in protocol.folds]))
    variants = [len(whitened_variants(one, protocol.config)) for one in candidates]
    if any(variants):
        rows = np.unique(np.concatenate([fold.rows_to_embed(training=True) for fold in protocol.folds]))
    seconds = None
    if len(rows) >= WORTH_TIMING:
        altered = sum(len(of) for _, of in protocol.altered)
        each = embedder.console.bar(candidates, len(candidates), "timing encoders")
        seconds = sum(_seconds(one, protocol, embedder, altered=altered) for one in each)
    return Workload(encoders=len(candidates), variants=sum(variants), images=len(rows), seconds=seconds)


def _seconds(candidate: Candidate, protocol: ComparisonProtocol, embedder: Embedder, *, altered: int) -> float:
    """Time of the first seed's first fold, as often as there are seeds and folds; 0 for one that cannot be loaded."""
    training = bool(whitened_variants(candidate, protocol.config))
    rows = protocol.folds[0].rows_to_embed(training=training)
    try:
        missing, seconds_per_image = embedder.timed(candidate.seeds[0][0], rows, images=_TIMED_IMAGES)
    except SimtrainError:  # told when its turn comes
        return 0.0
    factories = sum(len(of_seed) for of_seed in candidate.seeds)
    return seconds_per_image * (missing * factories + (altered if missing else 0))


def _about(seconds: float) -> str:
    if seconds < 1:
        return "embeddings are there"
    if seconds < 90:
        return f"about {max(5, 5 * round(seconds / 5))} s of embedding"
    return f"about {round(seconds / 60)} min of embedding"

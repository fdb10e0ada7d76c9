"""Validation of an epoch: embeddings of all processes, of which each one scores its share of the queries."""

# Shapes: n images of a batch, D features.

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor

from simtrain.encoders.base import Encoder
from simtrain.encoders.text import TextEncoder
from simtrain.evaluation.named_scores import NamedScores, named_scores
from simtrain.evaluation.protocol import RetrievalTask
from simtrain.evaluation.shared_scoring import score_on_all_ranks
from simtrain.evaluation.text_task import TextTasks
from simtrain.evaluation.worst_queries import worst_queries
from simtrain.training.product_sums import ProductSums
from simtrain.training.rank_zero import on_rank_zero
from simtrain.training.ranks import rank, sum_over_ranks
from simtrain.training.tracking.worst_queries import WorstQuery


@dataclass(frozen=True, kw_only=True)
class ValidationOutcome:
    """What the validation of an epoch found.

    Attributes:
        figures: Means of the metrics by name, the same on every process.
        monitored: The figure that chooses the epoch, by product, the same on every process.
        worst: The worst queries, on the first process; None elsewhere.
    """

    figures: dict[str, float]
    monitored: ProductSums
    worst: list[WorstQuery] | None


class EpochValidation:
    """Collects the embeddings of an epoch's validation.

    Args:
        task: Retrieval task to score.
        monitor: Name of the figure that chooses the epoch.
        texts: Text retrieval task of its images, scored too; None: none.
        worst: Number of worst queries that are kept to be shown.
    """

    def __init__(self, task: RetrievalTask, *, monitor: str, texts: TextTasks | None, worst: int) -> None:
        self._task = task
        self._monitor = monitor
        self._texts = texts
        self._worst = worst
        self._found: list[tuple[Tensor, Tensor]] = []

    def add(self, positions: Tensor, vectors: Tensor) -> None:
        """Add the (n, D) unit embeddings of the (n,) positions in the task's rows."""
        self._found.append((positions.cpu(), vectors.cpu()))

    def finish(self, encoder: Encoder) -> ValidationOutcome:
        """Score what was added, and begin anew.

        Args:
            encoder: Encoder that made the embeddings; it embeds the texts, if any.
        """
        found, self._found = self._found, []
        embeddings = torch.zeros(len(self._task.rows), encoder.embedding_size)
        for positions, vectors in found:
            embeddings[positions] = vectors
        embeddings = sum_over_ranks(embeddings)
        scores = score_on_all_ranks(self._task, embeddings)
        named = named_scores(self._task, embeddings, scores=scores, score=score_on_all_ranks)
        texts = self._texts
        if texts is not None:
            named |= on_rank_zero(lambda: _of_texts(texts, embeddings, cast(TextEncoder, encoder)))
        return ValidationOutcome(
            figures=named.means(),
            monitored=named.product_sums(self._monitor),
            worst=worst_queries(self._task, embeddings, scores, count=self._worst) if rank() == 0 else None,
        )


def _of_texts(texts: TextTasks, embeddings: Tensor, encoder: TextEncoder) -> NamedScores:
    scores = texts.query_scores(embeddings, encoder)
    return NamedScores(values=scores.values(), clusters=scores.clusters())

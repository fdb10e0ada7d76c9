"""Queries with the lowest average precision."""

# Shapes: N images of the task, D features.

import numpy as np
from torch import Tensor

from simtrain.evaluation.metrics import QueryScores
from simtrain.evaluation.protocol import RetrievalTask
from simtrain.training.tracking.worst_queries import WorstQuery

_NEIGHBOURS = 5


def worst_queries(task: RetrievalTask, embeddings: Tensor, scores: QueryScores, *, count: int) -> list[WorstQuery]:
    """The `count` queries of the lowest average precision with their nearest images, worst first, ties by row.

    Args:
        task: Task that was scored.
        embeddings: (N, D) unit embeddings of its rows.
        scores: Scores of these embeddings.
        count: Largest number of queries returned; 0 or more.
    """
    precision = scores.values["map_at_r"]
    worst = np.argsort(precision, kind="stable")[:count]
    if len(worst) == 0:
        return []
    asked = task.queries[scores.query_rows[worst]]
    nearest, _ = task.nearest(embeddings, asked, k=_NEIGHBOURS)
    shown_queries = []
    for index, position, near in zip(worst.tolist(), asked.tolist(), nearest, strict=True):
        shown = task.gallery[near[near >= 0]]
        shown_queries.append(
            WorstQuery(
                row=int(task.rows[position]),
                average_precision=float(precision[index]),
                neighbours=tuple(task.rows[shown].tolist()),
                relevant=tuple(task.relevant_to(position, shown).tolist()),
            )
        )
    return shown_queries

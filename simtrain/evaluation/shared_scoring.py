"""Scores of a retrieval task, of which every process of a run computes a part."""

import numpy as np
from torch import Tensor

from simtrain.evaluation.metrics import QueryScores
from simtrain.evaluation.protocol import RetrievalTask
from simtrain.training.ranks import gather_objects, rank, rank_count


def score_on_all_ranks(task: RetrievalTask, embeddings: Tensor) -> QueryScores:
    """What `task.score` gives, the same on every process; each one ranks the gallery for its share of the queries.

    Args:
        task: Queries, gallery and relevance.
        embeddings: (N, D) unit embeddings of the task's `rows`, the same on every process.
    """
    if rank_count() == 1:
        return task.score(embeddings)
    parts = gather_objects(task.score(embeddings, queries=np.arange(rank(), len(task.queries), rank_count())))
    scored = [part for part in parts if len(part.query_rows)]
    query_rows = np.concatenate([part.query_rows for part in scored])
    order = np.argsort(query_rows)
    return QueryScores(
        query_rows=query_rows[order],
        values={name: np.concatenate([part.values[name] for part in scored])[order] for name in scored[0].values},
        lone_queries=parts[0].lone_queries,
    )

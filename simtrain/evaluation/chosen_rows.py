"""Rows of embeddings, of which consecutive ones are not copied."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


def chosen_rows(embeddings: Tensor, rows: NDArray[np.int64]) -> Tensor:
    """(n, D) rows of (N, D) embeddings, in the order of (n,) `rows`.

    Consecutive rows are a view: embeddings of a whole catalogue that are mapped from a file take no memory again.
    """
    if len(rows) > 0 and np.array_equal(rows, np.arange(rows[0], rows[0] + len(rows))):
        return embeddings[int(rows[0]) : int(rows[0]) + len(rows)]
    return embeddings[torch.from_numpy(rows).to(embeddings.device)]

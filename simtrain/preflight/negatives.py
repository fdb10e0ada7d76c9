"""Warning about `false_negatives.max_similarity` that leaves nearly no negatives."""

# Shapes: C catalogue rows, F features of the initial encoder.

from collections.abc import Sequence

import torch
from torch import Tensor

from simtrain.preflight.conflict import Conflict

_PAIRS = 20_000
_NEARLY_ALL = 0.9


def few_negatives(reference: Tensor, rows: Sequence[int], *, max_similarity: float, batch_size: int) -> Conflict | None:
    """Warn where most pairs of two training images are too similar to be negatives of each other.

    Args:
        reference: (C, F) unit vectors of the initial encoder.
        rows: Catalogue rows of the training images, two or more.
        max_similarity: Cosine similarity above which a pair is no negative.
        batch_size: Images of a batch.
    """
    if len(rows) < 2:
        return None
    chance = torch.Generator().manual_seed(0)
    places = torch.tensor(list(rows))
    first = torch.randint(len(places), (_PAIRS,), generator=chance)
    second = (first + torch.randint(1, len(places), (_PAIRS,), generator=chance)) % len(places)  # never the same image
    similarities = (reference[places[first]].float() * reference[places[second]].float()).sum(dim=1)
    excluded = float((similarities > max_similarity).float().mean())
    if excluded < _NEARLY_ALL:
        return None
    left = (1 - excluded) * (batch_size - 1)
    higher = float(similarities.quantile(0.99))
    return Conflict(
        kind="few negatives",
        message=f"objective.false_negatives.max_similarity {max_similarity:g} leaves {left:.1f} negatives of the "
        f"{batch_size - 1} other images of a batch: there is little to learn from; {higher:.2f} leaves 99 % of them",
        figures={"max_similarity": max_similarity, "excluded": excluded},
    )

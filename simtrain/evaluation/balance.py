"""Balanced score of an encoder: one number over several metrics and definitions of relevance, for choosing an epoch."""

from collections.abc import Iterable, Mapping

from simtrain.training.product_sums import geometric_mean

BALANCED = "balanced"
"""Name of the score among the metrics."""

BALANCED_METRICS = ("map_at_r", "recall_at_1")
"""Metrics that the score is made of, by each definition of relevance."""

_OF_TEXTS = ("text_to_image_", "image_to_text_")


def balanced_parts(names: Iterable[str]) -> list[str]:
    """Of names of metrics, those that the score is made of; metrics of texts are not."""
    return [name for name in names if name.endswith(BALANCED_METRICS) and not name.startswith(_OF_TEXTS)]


def balanced_score(means: Mapping[str, float]) -> float:
    """Geometric mean of MAP@R and recall@1 by every definition of relevance, above 0 to 1.

    A change of one of them counts by its share of what was there: product retrieval that rises from 0.80 to 0.84 weighs
    as much as retrieval of the same kind that falls from 0.100 to 0.095. In a plain mean the smaller one hardly counts.
    Less than 0.001 counts as 0.001: where nothing is found by one of them, as by the kind of a few products, the others
    still decide.

    Args:
        means: Metrics by name, 0 to 1: `map_at_r`, `recall_at_1`, and those of further definitions with their name
            before (`kind_map_at_r`). Others are ignored.

    Raises:
        ValueError: if none of them is there.
    """
    values = [means[name] for name in balanced_parts(means)]
    if not values:
        raise ValueError(f"got {', '.join(means)}; needed: {' or '.join(BALANCED_METRICS)}")
    return geometric_mean(values)

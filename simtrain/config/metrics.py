"""Names of the retrieval metrics of images, their order in tables and their meaning in words."""

from collections.abc import Mapping
from typing import Literal

MonitoredMetric = Literal["map_at_r", "r_precision", "mrr", "recall_at_1", "recall_at_5", "recall_at_10"]
"""Metrics of every validation and evaluation."""

ComparedMetric = Literal[MonitoredMetric, "precision_at_5", "precision_at_10"]
"""Metrics of a comparison."""

METRIC_WORDS: Mapping[str, str] = {
    "recall_at_1": "the share of searches whose first image is a right one",
    "recall_at_5": "the share of searches with a right image among the first 5",
    "recall_at_10": "the share of searches with a right image among the first 10",
    "precision_at_5": "the share of right images among the first 5",
    "precision_at_10": "the share of right images among the first 10",
    "r_precision": "the share of right images among as many first places as there are right images (R-precision)",
    "map_at_r": "how many of the right images stand at the top of the list, the first places counting more (MAP@R)",
    "mrr": "one divided by the place of the first right image (mean reciprocal rank)",
}
"""Metric -> its meaning in words, in the order of a comparison's figures."""

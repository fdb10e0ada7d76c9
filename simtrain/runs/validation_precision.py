"""Smallest difference between two settings that the validation split can detect."""

import math

from simtrain.catalog.table import Catalog, with_larger_val
from simtrain.evaluation.protocol import RetrievalTask
from simtrain.evaluation.resolvable_difference import resolvable_share
from simtrain.phrases import counted

DISCORDANT_SHARE = 0.2
"""Assumed share of queries at which exactly one of two encoders is right."""

WITHIN_PRODUCT = 0.2
"""Assumed correlation of such differences within a product."""

_COARSE = 0.03  # settings of one recipe differ by one to three points


def validation_precision(task: RetrievalTask, catalog: Catalog, *, confidence: float) -> str | None:
    """A line for the user on a validation split that is too small to choose settings by; None: it is large enough.

    Args:
        task: Retrieval task of validation.
        catalog: Its catalogue.
        confidence: Confidence of a difference, above 0.5 to below 1.
    """
    answers = task.answers()
    clusters, ranks = task.clusters[task.queries[answers > 0]], answers[answers > 0]
    smallest, of_map = (
        resolvable_share(
            clusters,
            discordant_share=DISCORDANT_SHARE,
            within_product=WITHIN_PRODUCT,
            level=1 - confidence,
            power=0.8,
            ranks=of_metric,
        )
        for of_metric in (None, ranks)
    )
    if smallest <= _COARSE:
        return None
    products = counted(len(set(clusters.tolist())), "product")
    limit = (
        "no difference between two settings can be detected"
        if math.isnan(smallest)
        else f"differences in recall_at_1 of less than {100 * smallest:.0f} points and in map_at_r of less than "
        f"{100 * of_map:.0f} points cannot be detected"
    )
    queries = counted(len(clusters), "query", "queries")
    remedy = with_larger_val(catalog)
    return f"val is small ({queries} of {products}): {limit}{'' if remedy is None else f'; {remedy}'}"

"""Checks that a split has queries, values to compare, and something to find."""

# Shapes: N catalogue images, Q queries.

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from simtrain.catalog.table import Catalog, with_larger_share
from simtrain.errors import CatalogError
from simtrain.evaluation.relevance import Relevance, filled_columns


def check_not_empty(
    catalog: Catalog, groups: NDArray[np.int64], is_query: NDArray[np.bool_], *, split: str, relevance: Relevance
) -> None:
    """Refuse a split without queries, and columns without values.

    Args:
        catalog: Catalogue of N images.
        groups: (N,) relevance codes, -1 where unknown.
        is_query: (N,) whether an image is a query of the split.
        split: Name of the split.
        relevance: Definition that the codes are of.

    Raises:
        CatalogError: for these, with what is there instead.
    """
    if not is_query.any():
        raise CatalogError(
            f"{catalog.folder}: split '{split}' has no query images; {with_larger_share(catalog.folder, split)}"
        )
    if relevance.qrels is None and not (groups >= 0).any():
        others = [column for column in filled_columns(catalog.rows) if (column,) != relevance.columns]
        hint = f"; filled: {', '.join(others)} (set relevance={others[0]})" if others else ""
        raise CatalogError(f"{catalog.folder}: relevance column '{' + '.join(relevance.columns)}' is empty{hint}")


def check_answerable(
    catalog: Catalog, answers: NDArray[np.int64], *, queries: int, split: str, relevance: Relevance
) -> None:
    """Refuse a task in which no query has anything to find.

    Args:
        catalog: Catalogue of the images.
        answers: (Q,) number of relevant gallery images of each query.
        queries: Number of queries of the catalogue, copies included.
        split: Name of the split.
        relevance: Definition of relevance.

    Raises:
        CatalogError: with a remedy that can help: a larger split only where there are images to find at all.
    """
    if answers.any():
        return
    if relevance.qrels is not None:
        raise CatalogError(
            f"{catalog.folder}: none of {queries} queries of split '{split}' has an image to find that "
            f"{relevance.qrels.file} judges relevant; judge images of that split, or widen the gallery with "
            "gallery_splits"
        )
    what = f"'{' + '.join(relevance.columns)}'"
    if _group_sizes(catalog, relevance.columns).max(initial=0) == 1:
        others = [
            name
            for name in filled_columns(catalog.rows.iloc[catalog.rows_of([split])])
            if (name,) != relevance.columns and _group_sizes(catalog, [name]).max(initial=0) > 1
        ]
        remedy = f"set relevance={others[0]}" if others else "add a second image of each, and prepare again"
        raise CatalogError(f"{catalog.folder}: every {what} has one image, so there is nothing to find by it; {remedy}")
    if relevance.other:
        what += f" and another '{' + '.join(relevance.other)}'"
    what += "".join(f" and another '{column}'" for column in relevance.excluded)
    raise CatalogError(
        f"{catalog.folder}: none of {queries} queries of split '{split}' has another image of its own {what} to find; "
        f"{with_larger_share(catalog.folder, split)}"
    )


def _group_sizes(catalog: Catalog, columns: Sequence[str]) -> NDArray[np.int64]:
    codes = catalog.groups(columns)
    return np.bincount(codes[codes >= 0]) if (codes >= 0).any() else np.zeros(0, dtype=np.int64)

"""What is told of a bundle's approximate index: size, time and recall, from its manifest."""

from typing import Any

from simtrain.phrases import percent


def index_lines(described: dict[str, Any]) -> list[str]:
    """Lines on an approximate index; none on an exact one, which has nothing to tell.

    Args:
        described: The section `index` of a manifest.
    """
    if "search" not in described:
        return []
    recall, wanted = described["recall_vs_exact"], described["wanted_recall"]
    lines = [
        f"index: {described['factory']}, {described['bytes_per_vector']:,.0f} bytes a vector, and "
        f"{described['stored_bytes_per_vector']:,.0f} on the disk for exact similarities; "
        f"{described['milliseconds_per_query']:.2g} ms a search here",
        f"recall: it finds {percent(recall)} % of the {described['recall_depth']} nearest items of "
        f"{described['held_out_queries']} held-out images; {percent(described['recall_of_codes'])} % before they are "
        "compared exactly",
    ]
    if recall < wanted:
        lines.append(
            f"recall: {percent(wanted)} % was wanted (export.index_recall) and is not reached by any width of this "
            "search; --set export.index=auto, or more bytes a vector, finds more"
        )
    return lines

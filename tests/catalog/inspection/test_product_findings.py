"""Products that cannot be found by another of their images."""

from simtrain.catalog.inspection.product_findings import product_findings


def test_products_of_one_image_each_are_told_with_what_works() -> None:
    (finding,) = product_findings(["p", "q", None], labels=[None] * 3)
    assert finding["message"] == (
        "each of the 2 products has one image, so none can be found by another of its own; add images, or name a "
        "column for the label: --set columns.label=NAME"
    )
    (finding,) = product_findings(["p", "q", None], labels=["x", None, None])
    assert finding["message"].endswith("; evaluate and train by label: --set relevance=label")
    assert product_findings(["p", "q", "q"], labels=[None] * 3) == product_findings([None] * 2, labels=["x"] * 2) == []

"""Products that cannot be found by another of their images."""

from simtrain.catalog.inspection.product_findings import images_without, product_findings


def test_products_of_one_image_each_are_told_with_what_works() -> None:
    (finding,) = product_findings(["p", "q", None], labels=[None] * 3)
    assert finding["message"] == (
        "each of the 2 products has one image, so none can be found by another of its own; add images, or name a "
        "column for the label: --set columns.label=NAME"
    )
    (finding,) = product_findings(["p", "q", None], labels=["x", None, None])
    assert finding["message"].endswith("; evaluate and train by label: --set relevance=label")
    assert product_findings(["p", "q", "q"], labels=[None] * 3) == product_findings([None] * 2, labels=["x"] * 2) == []


def test_images_without_a_product_beside_others_are_named() -> None:
    (finding,) = images_without("product", ["a", "b", "c"], ["x", None, "x"])
    assert (finding["kind"], finding["ids"]) == ("images_without_product", ["b"])
    assert finding["message"] == (
        "1 of 3 images has no product, such as 'b': they are no right answers by product, and no positives"
    )
    assert images_without("product", ["a", "b"], ["x", "y"]) == []
    assert images_without("product", ["a", "b"], [None, None]) == []


def test_images_without_a_split_beside_others_are_named() -> None:
    (finding,) = images_without("split", ["a", "b"], ["test", None])
    assert finding["message"] == "1 of 2 images has no split, such as 'b': they count as train"


def test_images_without_a_label_beside_others_are_named() -> None:
    (finding,) = images_without("label", ["a", "b", "c"], ["x", None, None])
    assert (finding["kind"], finding["ids"]) == ("images_without_label", ["b", "c"])
    assert finding["message"] == (
        "2 of 3 images have no label, such as 'b' and 'c': they are no right answers by label, and no positives"
    )

"""Validation that cannot tell anything."""

from small_conflicts import SIMCLR, config_of, found, products, shop

from simtrain.preflight.evaluation import has_few_queries


def test_too_few_queries() -> None:
    few = shop({"product": ["a", "a", "b", "b"] + ["c"] * 8, "split": ["val"] * 4 + ["train"] * 8})
    (conflict,) = found(config_of(SIMCLR), few)
    assert conflict.message == (
        "only 4 validation queries have a relevant image: each counts 25 points, too coarse to compare epochs; "
        "add pictures"
    )
    more = shop({"product": ["a", "a", "b", "b"] * 5 + ["c"] * 280, "split": ["val"] * 20 + ["train"] * 280})
    (conflict,) = found(config_of(SIMCLR), more)
    assert conflict.message.endswith(
        "; prepare it with a larger share: simtrain prepare SOURCE --out shop --set split.val=0.3"
    )
    assert has_few_queries([vars(conflict)])
    assert not has_few_queries([{"kind": "lone queries"}])


def test_columns_that_leave_out_answers_are_blamed() -> None:
    rows = {
        "product": [name for name in "abcd" for _ in range(10)] + ["e"] * 80,
        "label": ["x"] * 20 + ["x", "y"] * 10 + ["x"] * 80,
        "split": ["val"] * 40 + ["train"] * 80,
    }
    (conflict,) = found(config_of(SIMCLR, evaluation={"exclude": ["label"]}), shop(rows))
    assert conflict.message == (
        "only 20 validation queries have a relevant image: each counts 5 points, too coarse to compare epochs; "
        "evaluation.exclude leaves out what has an equal 'label': name another"
    )
    assert found(config_of(SIMCLR), shop(rows)) == []


def test_lone_queries() -> None:
    lone = shop({"product": [f"p{row}" for row in range(20)] + ["q", "r"] * 20, "split": ["val"] * 60})
    (conflict,) = found(config_of(SIMCLR), lone)
    assert conflict.message == (
        "20 of 60 validation queries have no other image of their 'product' to find: the metrics are of the "
        "other 40 only; the queries need a second gallery image of their 'product' in val"
    )


def test_a_few_images_without_a_product_are_no_matter() -> None:
    catalog = products(60)
    catalog.rows["product"] = catalog.rows["product"].where(catalog.rows.index < len(catalog.rows) - 4)
    assert found(config_of(SIMCLR), catalog) == []


def test_validation_of_one_group() -> None:
    split = ["train"] * 60 + ["val"] * 40
    catalog = shop({"label": ["a", "b"] * 30 + ["a"] * 40, "split": split, "product": ["p", "p", "q", "q"] * 25})
    (conflict,) = found(config_of(SIMCLR, relevance="label"), catalog)
    assert conflict.message == (
        "all 40 validation queries with a relevant image have the same 'label': their metrics cannot rank "
        "epochs; --set relevance=product"
    )


def test_more_queries_than_relevant_images() -> None:
    catalog = products(0, views=5)
    catalog.rows["gallery"] = [view == 0 for _ in range(20) for view in range(5)]
    catalog.rows["query"] = [view > 0 for _ in range(20) for view in range(5)]
    (conflict,) = found(config_of(SIMCLR), catalog)
    assert conflict.message == (
        "80 validation queries share 20 relevant gallery images: the metrics count these 20 several times; mark "
        "more images as 'gallery' and prepare again"
    )

"""Splits: no group is cut, growth moves nothing, shares hold, given splits are respected."""

from collections import defaultdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simtrain.catalog.split import assign_folds, assign_splits, connected_keys, copies_to_set_aside, group_keys
from simtrain.errors import CatalogError

PRODUCTS = st.one_of(st.none(), st.sampled_from("abcdefgh"))
IMAGES = st.lists(st.tuples(PRODUCTS, st.integers(0, 12), st.sampled_from([None, "train", "val", "test"])), max_size=25)


def linked(one: tuple[str | None, str], other: tuple[str | None, str]) -> bool:
    return one[1] == other[1] or (one[0] is not None and one[0] == other[0])


def connected(images: list[tuple[str | None, str]]) -> list[set[int]]:
    """Components by repeated flooding: slow, and nothing like union-find."""
    left, components = set(range(len(images))), []
    while left:
        component: set[int] = set()
        frontier = {min(left)}
        while frontier:
            component |= frontier
            frontier = {
                row for row in left - component if any(linked(images[row], images[other]) for other in component)
            }
        components.append(component)
        left -= component
    return components


@given(IMAGES)
def test_connected_keys_are_the_connected_components(drawn: list[tuple[str | None, int, str | None]]) -> None:
    images = [(product, str(content)) for product, content, _ in drawn]
    links = [content for _, content in images]
    keys = connected_keys(names=[product for product, _ in images], links=links, prefix="", otherwise=links)
    rows_of_key = defaultdict(set)
    for row, key in enumerate(keys):
        rows_of_key[key].add(row)
    assert sorted(map(sorted, rows_of_key.values())) == sorted(map(sorted, connected(images)))


def test_connected_keys_name_the_first_name_or_say_otherwise() -> None:
    keys = connected_keys(
        names=["b", "a", None, None, "c"], links=["1", "2", "2", "3", "1"], prefix="label:", otherwise=list("vwxyz")
    )
    assert keys == ["label:b", "label:a", "label:a", "y", "label:b"]


def keys_of(images: list[tuple[str | None, str, str | None]], *, labels: list[str | None] | None = None) -> list[str]:
    products, clusters, wishes = (list(column) for column in zip(*images, strict=True)) if images else ([], [], [])
    return group_keys(products=products, labels=labels, clusters=clusters, given=wishes)


def test_a_product_is_a_group_whatever_it_shares_a_picture_with() -> None:
    assert keys_of([("b", "1", None), ("a", "1", None), (None, "1", None), (None, "2", None)]) == [
        "product:b",
        "product:a",
        "image:1",
        "image:2",
    ]


def test_copies_that_the_source_put_on_different_sides_are_no_group() -> None:
    assert keys_of([(None, "1", "train"), (None, "1", "test"), (None, "2", "train"), (None, "2", None)]) == [
        "image:1:train",
        "image:1:test",
        "image:2",
        "image:2",
    ]


def test_an_open_set_keeps_classes_whole_also_by_way_of_a_product() -> None:
    images: list[tuple[str | None, str, str | None]] = [("p", "1", None), ("p", "2", None), ("q", "3", None)]
    images += [(None, "4", None), (None, "5", None)]
    keys = keys_of(images, labels=["mug", "cup", "lamp", "lamp", None])
    assert keys == ["label:cup", "label:cup", "label:lamp", "label:lamp", "image:5"]


FAMILIES = st.lists(
    st.tuples(PRODUCTS, st.sampled_from([None, *"uvwxyz"]), st.sampled_from([None, "1", "2", "3"])), max_size=25
)


def family_groups(images: list[tuple[str | None, str | None, str | None]]) -> list[str]:
    """Keys by two family columns; every image is another picture."""
    columns = [
        [value and f"{name}={value}" for value in column]
        for name, column in zip("fg", own_columns(images), strict=True)
    ]
    clusters = [str(row) for row in range(len(images))]
    return group_keys(
        products=[image[0] for image in images],
        labels=None,
        clusters=clusters,
        given=[None] * len(images),
        families=columns,
    )


def own_columns(images: list[tuple[str | None, str | None, str | None]]) -> list[list[str | None]]:
    return [[image[place] for image in images] for place in (1, 2)]


@given(FAMILIES)
def test_families_tie_what_shares_a_product_or_a_value_also_indirectly(
    images: list[tuple[str | None, str | None, str | None]],
) -> None:
    left, components = set(range(len(images))), []
    while left:  # flooding: slow, and nothing like union-find
        component = {min(left)}
        while True:
            grown = component | {
                row
                for row in left
                for other in component
                if any(one is not None and one == its for one, its in zip(images[row], images[other], strict=True))
            }
            if grown == component:
                break
            component = grown
        components.append(sorted(component))
        left -= component
    rows_of_key = defaultdict(list)
    for row, key in enumerate(family_groups(images)):
        rows_of_key[key].append(row)
    assert sorted(rows_of_key.values()) == sorted(components)


@given(FAMILIES, st.integers(1, 10))
def test_growth_moves_nothing_but_what_a_new_image_ties_together(
    images: list[tuple[str | None, str | None, str | None]], later: int
) -> None:
    before, after = family_groups(images[:-later]), family_groups(images)[: len(images[:-later])]
    for row, key in enumerate(before):
        old = {other for other, its in enumerate(before) if its == key}
        now = {other for other, its in enumerate(after) if its == after[row]}
        assert old <= now
        new = zip(images[len(before) :], family_groups(images)[len(before) :], strict=True)
        tied = any(value is not None for image, its in new if its == after[row] for value in image[1:])
        assert after[row] == key or old < now or tied


def test_keys_of_families_and_of_what_has_none() -> None:
    images = [
        ("p", "x", None),
        ("q", "x", "2"),
        ("r", None, "2"),
        ("s", None, None),
        ("t", None, "3"),
        (None, "y", "1"),
    ]
    tied = "group:f=x"
    assert family_groups(images) == [tied, tied, tied, "product:s", "group:g=3", "group:f=y"]


def test_a_picture_in_every_family_ties_no_families_together() -> None:
    keys = group_keys(
        products=[None, None, "p", None],
        labels=None,
        clusters=["chart"] * 4,
        given=[None] * 4,
        families=[["f=x", "f=y", "f=y", None]],
    )
    assert keys == ["group:f=x", "group:f=y", "group:f=y", "image:chart"]


def test_an_open_set_keeps_classes_whole_also_by_way_of_a_family() -> None:
    keys = group_keys(
        products=["p", "q", "r", None],
        labels=["mug", "cup", "lamp", None],
        clusters=list("1234"),
        given=[None] * 4,
        families=[["f=x", "f=x", None, "f=y"]],
    )
    assert keys == ["label:cup", "label:cup", "label:lamp", "group:f=y"]


@given(st.lists(st.tuples(st.sampled_from(["train", "val", "test"]), st.integers(0, 5)), max_size=20))
def test_what_is_not_set_aside_leaves_no_copies_on_two_sides(images: list[tuple[str, int]]) -> None:
    sides, clusters = [side for side, _ in images], [str(cluster) for _, cluster in images]
    aside = copies_to_set_aside(sides, clusters)
    for cluster in set(clusters):
        members = [(side, out) for side, own, out in zip(sides, clusters, aside, strict=True) if own == cluster]
        strictest = next(side for side in ("test", "val", "train") if side in {own for own, _ in members})
        assert all(out == (side != strictest) for side, out in members)


def test_folds_are_even_and_never_cut_a_group() -> None:
    groups = [f"product:{number // 2}" for number in range(10_000)]
    folds = assign_folds(groups, folds=5, seed=0)
    assert folds[::2] == folds[1::2]
    # Binomial: 4 standard deviations of 5,000 draws with share 0.2 are 113.
    assert all(abs(folds[::2].count(fold) - 1000) < 113 for fold in range(5))
    assert assign_folds(groups, folds=5, seed=1) != folds


@given(IMAGES, st.integers(0, 5))
@settings(max_examples=200)
def test_no_group_is_cut_and_the_strictest_split_wins(
    drawn: list[tuple[str | None, int, str | None]], seed: int
) -> None:
    keys = [f"product:{product}" if product is not None else f"image:{content}" for product, content, _ in drawn]
    wishes = [image[2] for image in drawn]
    try:
        split = assign_splits(keys, given=wishes, val=0.2, test=0.3, seed=seed)
    except CatalogError:
        return
    wish_of = defaultdict(set)
    for key, wish in zip(keys, wishes, strict=True):
        wish_of[key].add(wish)
    for key, wish in wish_of.items():
        sides = {side for side, own in zip(split.sides, keys, strict=True) if own == key}
        assert len(sides) == 1
        strictest = "test" if "test" in wish else "val" if "val" in wish else None
        assert strictest is None or sides == {strictest}
    cut = {key for key, wish in wish_of.items() if len(wish - {None}) > 1}
    assert split.straddling == sorted(cut)
    assert split.moved == sum(
        key in cut and wish not in (None, side) for key, wish, side in zip(keys, wishes, split.sides, strict=True)
    )


def draw(groups: list[str], *, val: float = 0.1, test: float = 0.2, seed: int = 0) -> dict[str, str]:
    split = assign_splits(groups, given=[None] * len(groups), val=val, test=test, seed=seed)
    return dict(zip(groups, split.sides, strict=True))


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_shares_hold_on_many_groups(seed: int) -> None:
    sides = list(draw([f"product:{number:05}" for number in range(5000)], seed=seed).values())
    # Binomial: 4 standard deviations of 5,000 draws are 113 (share 0.2) and 85 (share 0.1).
    assert abs(sides.count("test") - 1000) < 113
    assert abs(sides.count("val") - 500) < 85


def test_another_seed_draws_other_groups() -> None:
    groups = [f"product:{number}" for number in range(200)]
    assert draw(groups, seed=0) == draw(groups, seed=0)
    assert draw(groups, seed=0) != draw(groups, seed=1)


@given(st.sets(st.text(max_size=8), min_size=60, max_size=120), st.integers(0, 3))
@settings(max_examples=40)
def test_growth_moves_nothing(names: set[str], seed: int) -> None:
    groups = sorted(names)
    small, large = draw(groups[:40], seed=seed), draw(groups, seed=seed)
    if {"test", "val", "train"} <= {large[group] for group in groups[:40]}:  # else the rule for tiny catalogues acted
        assert small == {group: large[group] for group in groups[:40]}


@pytest.mark.parametrize("count", range(3, 12))
def test_tiny_catalogues_have_every_split(count: int) -> None:
    for seed in range(30):
        sides = set(draw([f"product:{number}" for number in range(count)], seed=seed).values())
        assert sides == {"train", "val", "test"}


@pytest.mark.parametrize("count", [1, 2])
def test_train_is_never_empty(count: int) -> None:
    for seed in range(50):
        assert "train" in draw([f"product:{number}" for number in range(count)], seed=seed, test=0.6, val=0.3).values()


def test_shares_of_zero_stay_empty() -> None:
    assert set(draw([f"product:{number}" for number in range(500)], val=0, test=0).values()) == {"train"}
    assert set(draw([f"product:{number}" for number in range(500)], val=0).values()) == {"train", "test"}


def test_missing_splits_are_drawn_from_train() -> None:
    groups = [f"product:{number}" for number in range(2000)]
    wishes: list[str | None] = ["test" if number < 1000 else "train" for number in range(2000)]
    split = assign_splits(groups, given=wishes, val=0.1, test=0.2, seed=0)
    assert split.sides[:1000] == ["test"] * 1000
    assert abs(split.sides[1000:].count("val") - 100) < 40  # 4 standard deviations
    assert "test" not in split.sides[1000:]
    wishes = ["val" if number < 1000 else None for number in range(2000)]
    split = assign_splits(groups, given=wishes, val=0.1, test=0.2, seed=0)
    assert split.sides[:1000] == ["val"] * 1000
    assert abs(split.sides[1000:].count("test") - 200) < 52
    assert "val" not in split.sides[1000:]


def test_only_test_given_is_no_error() -> None:
    assert assign_splits(["a", "b"], given=["test", "test"], val=0.1, test=0.2, seed=0).sides == ["test", "test"]


def test_train_that_straddles_away_is_an_error() -> None:
    with pytest.raises(CatalogError) as caught:
        assign_splits(["a", "a", "b", "b"], given=["train", "test", "train", "val"], val=0.1, test=0.2, seed=0)
    assert str(caught.value) == (
        "nothing is left to train on: all 2 products or classes in train are also in val or test, and none "
        "may be cut in two; the column is too coarse, or the split was made image by image: map another "
        "product column or drop the split column"
    )


def test_train_whose_families_straddle_away_is_an_error() -> None:
    keys = ["group:f=x", "group:f=x"]
    with pytest.raises(CatalogError, match=r"all 1 families in train are also .*: map another columns\.group or drop"):
        assign_splits(keys, given=["train", "test"], val=0.1, test=0.2, seed=0)

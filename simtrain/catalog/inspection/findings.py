"""Findings about images, duplicates and labels that may harm training or its evaluation.

Each finding is a plain dictionary with its `kind`, the `ids` of all images it is about and a `message` of one sentence.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any, Literal

from simtrain.catalog.inspection.facts import ImageFacts
from simtrain.phrases import counted, listed

BLANK_CONTRAST = 6
"""Contrast, 0 to 255, up to which an image is reported as blank.

Flat colours with sensor noise up to a standard deviation of 5 stay at or below it as JPEGs of quality 75 and more
(of quality 30 to 50 nearly all do: their coarse chroma steps reach 9). Of 4,770 pictures of furniture on white, 15
hair-thin pale drawings do too; the palest solid product has 16.
"""

_Finding = dict[str, Any]


def picture_findings(
    ids: Sequence[str], facts: Sequence[ImageFacts], *, smallest_side: int, largest_aspect: float
) -> list[_Finding]:
    """Tiny, extremely long, blank and oddly stored pictures: at most one finding of each kind.

    Args:
        ids: Id of each image, N of them.
        facts: Facts of each image; unreadable ones are ignored.
        smallest_side: Pixels; a side below it is tiny.
        largest_aspect: Long side over short side, above 1; from this on a picture is extreme.
    """
    readable = [(name, fact) for name, fact in zip(ids, facts, strict=True) if fact.problem is None]
    return [
        *_tiny(readable, smallest_side=smallest_side),
        *_extreme(readable, largest_aspect=largest_aspect),
        *_blank([name for name, fact in readable if fact.contrast <= BLANK_CONTRAST]),
        *_noted([(name, fact.note) for name, fact in readable if fact.note is not None]),
    ]


def duplicate_findings(
    ids: Sequence[str],
    groups: Sequence[str | None],
    *,
    products: Sequence[str | None],
    labels: Sequence[str | None],
) -> list[_Finding]:
    """Exact duplicates, a finding for each group; then those groups that products, and those that labels tell apart.

    Args:
        ids: Id of each image, N of them.
        groups: Equal for images of exactly the same pixels; None for an image without a copy.
        products: Product of each image, or None, which differs from any product.
        labels: Class of each image, or None, likewise.
    """
    found: list[_Finding] = []
    for _, rows in _members(groups):
        names = [ids[row] for row in rows]
        message = f"{counted(len(rows), 'image shows', 'images show')} exactly the same picture: {listed(names)}"
        found.append({"kind": "exact_duplicates", "ids": names, "message": message})
    found += duplicate_conflicts(ids, groups, products, column="product")
    return found + duplicate_conflicts(ids, groups, labels, column="label")


def duplicate_conflicts(
    ids: Sequence[str], groups: Sequence[str | None], values: Sequence[str | None], *, column: str
) -> list[_Finding]:
    """A finding for each group of equal images that `column` gives different values; null differs from any value."""
    found: list[_Finding] = []
    for _, rows in _members(groups):
        told = [values[row] for row in rows]
        distinct = list(dict.fromkeys(told))
        if len(distinct) > 1:
            names = [ids[row] for row in rows]
            message = f"{listed(names)} show exactly the same picture, but their {column}s differ: {listed(distinct)}"
            found.append(
                {"kind": "duplicates_differ", "column": column, "ids": names, "values": told, "message": message}
            )
    return found


def near_duplicate_findings(
    ids: Sequence[str],
    pairs: Sequence[tuple[int, int, float, bool]],
    *,
    products: Sequence[str | None],
    labels: Sequence[str | None],
    splits: Sequence[str | None],
    kept: bool,
) -> list[_Finding]:
    """A finding for each pair of pictures that are nearly the same.

    `differ` names what tells the two apart, of `product`, `label` and `split`; null differs from any product or label.
    The values themselves stand in `products`, `labels` and `splits`.

    Args:
        ids: Id of each image, N of them.
        pairs: Row of the first, row of the second, similarity up to 1, whether one is the other's mirror image.
        products: Product of each image, or None.
        labels: Class of each image, or None.
        splits: `train`, `val` or `test` for each image; None for one that is set aside, which leaks into no split.
        kept: Whether pairs of different products or labels are no copies.
    """
    columns = {"product": products, "label": labels, "split": splits}
    return [
        _near_duplicate(
            [ids[first], ids[second]],
            {column: [values[first], values[second]] for column, values in columns.items()},
            similarity=similarity,
            mirrored=mirrored,
            kept=kept,
        )
        for first, second, similarity, mirrored in pairs
    ]


def label_findings(
    ids: Sequence[str],
    labels: Sequence[str | None],
    splits: Sequence[str | None],
    *,
    largest_imbalance: float,
    protocol: Literal["closed_set", "open_set"],
) -> list[_Finding]:
    """Labels of one image, of very different sizes, and (closed set only) labels that training never sees.

    Args:
        ids: Id of each image, N of them.
        labels: Class of each image, or None.
        splits: `train`, `val` or `test` for each image; None for one that is set aside.
        largest_imbalance: Images of the largest label over those of the smallest, above 1; a larger ratio is reported.
        protocol: In an open set a class is whole in one split, so that labels outside train are meant.
    """
    rows_of = dict(_members(labels))
    found: list[_Finding] = []
    for label, rows in rows_of.items():
        if len(rows) == 1:
            name = ids[rows[0]]
            message = f"label '{label}' has a single image, '{name}'"
            found.append({"kind": "label_with_one_image", "label": label, "ids": [name], "message": message})
    if len(rows_of) == 1 and len(ids) > 1:
        label, rows = next(iter(rows_of.items()))
        message = f"all {counted(len(rows), 'image')} with a label have the same one, '{label}'"
        found.append({"kind": "one_label", "label": label, "images": len(rows), "message": message})
    found += _imbalance(ids, rows_of, largest_imbalance=largest_imbalance)
    if protocol == "closed_set":
        found += _never_trained(ids, rows_of, splits)
    return found


def _tiny(images: Sequence[tuple[str, ImageFacts]], *, smallest_side: int) -> list[_Finding]:
    tiny = [(name, fact) for name, fact in images if min(fact.width, fact.height) < smallest_side]
    if not tiny:
        return []
    name, fact = min(tiny, key=lambda one: min(one[1].width, one[1].height))
    message = (
        f"{counted(len(tiny), 'image has', 'images have')} a side below {smallest_side} pixels; "
        f"the smallest is '{name}' with {fact.width} by {fact.height}"
    )
    return [{"kind": "tiny_images", **_sized(tiny), "smallest_side": smallest_side, "message": message}]


def _extreme(images: Sequence[tuple[str, ImageFacts]], *, largest_aspect: float) -> list[_Finding]:
    extreme = [(name, fact) for name, fact in images if _aspect(fact) >= largest_aspect]
    if not extreme:
        return []
    name, fact = max(extreme, key=lambda one: _aspect(one[1]))
    message = (
        f"{counted(len(extreme), 'image is', 'images are')} at least {largest_aspect:g} times as long one way as the "
        f"other; the most extreme is '{name}' with {fact.width} by {fact.height}"
    )
    return [{"kind": "extreme_aspect_images", **_sized(extreme), "largest_aspect": largest_aspect, "message": message}]


def _blank(names: Sequence[str]) -> list[_Finding]:
    if not names:
        return []
    message = f"{counted(len(names), 'image shows', 'images show')} little but one flat colour: {listed(names)}"
    return [{"kind": "blank_images", "ids": list(names), "message": message}]


def _noted(notes: Sequence[tuple[str, str]]) -> list[_Finding]:
    if not notes:
        return []
    read = counted(len(notes), "image was read with a remark", "images were read with a remark")
    name, note = notes[0]
    return [
        {
            "kind": "notes_of_reading",
            "ids": [name for name, _ in notes],
            "notes": [note for _, note in notes],
            "message": f"{read}; the first, '{name}': {note}",
        }
    ]


def _near_duplicate(
    names: list[str], values: dict[str, list[str | None]], *, similarity: float, mirrored: bool, kept: bool
) -> _Finding:
    out = None in values["split"]
    differ = [column for column, (one, other) in values.items() if one != other and not (column == "split" and out)]
    seen = f"similarity {similarity:.3f}{', mirrored' if mirrored else ''}"
    apart = "; ".join(f"their {column}s differ: {listed(values[column])}" for column in differ)
    return {
        "kind": "near_duplicates",
        "ids": names,
        "similarity": similarity,
        "mirrored": mirrored,
        "differ": differ,
        "kept_apart": kept and _are_apart(values),
        **{f"{column}s": told for column, told in values.items()},
        "message": f"{listed(names)} show nearly the same picture ({seen}){', but ' if differ else ''}{apart}",
    }


def _are_apart(values: dict[str, list[str | None]]) -> bool:
    """Whether the source gives a pair to different products, or labels where one has no product."""
    column = "label" if None in values["product"] else "product"
    return None not in values[column] and len(set(values[column])) > 1


def _imbalance(ids: Sequence[str], rows_of: dict[str, list[int]], *, largest_imbalance: float) -> list[_Finding]:
    if not rows_of:
        return []
    counts = Counter({label: len(rows) for label, rows in rows_of.items()})
    largest, smallest = max(counts, key=lambda label: counts[label]), min(counts, key=lambda label: counts[label])
    if counts[largest] <= largest_imbalance * counts[smallest]:
        return []
    behind = [label for label, count in counts.items() if counts[largest] > largest_imbalance * count]
    message = (
        f"label '{largest}' has {counts[largest]} images and '{smallest}' {counts[smallest]}: "
        f"{counts[largest] / counts[smallest]:.1f} to 1; {counted(len(behind), 'label has', 'labels have')} "
        f"less than 1/{largest_imbalance:g} of the largest"
    )
    return [
        {
            "kind": "label_imbalance",
            "largest": largest,
            "largest_images": counts[largest],
            "smallest": smallest,
            "smallest_images": counts[smallest],
            "labels": behind,
            "ids": [ids[row] for label in behind for row in rows_of[label]],
            "message": message,
        }
    ]


def _never_trained(ids: Sequence[str], rows_of: dict[str, list[int]], splits: Sequence[str | None]) -> list[_Finding]:
    splits_of = {label: {splits[row] for row in rows} for label, rows in rows_of.items()}
    unseen = {
        label: rows for label, rows in rows_of.items() if "train" not in splits_of[label] and splits_of[label] != {None}
    }
    if not unseen:
        return []
    names = [ids[row] for rows in unseen.values() for row in rows]
    are = counted(len(unseen), "label has", "labels have")
    message = f"{are} images in val or test and none in train: {listed(list(unseen))}"
    return [{"kind": "labels_only_outside_train", "labels": list(unseen), "ids": names, "message": message}]


def _members(values: Sequence[str | None]) -> list[tuple[str, list[int]]]:
    """The rows of each value but None, values in alphabetical order."""
    rows_of: dict[str, list[int]] = defaultdict(list)
    for row, value in enumerate(values):
        if value is not None:
            rows_of[value].append(row)
    return sorted(rows_of.items())


def _aspect(fact: ImageFacts) -> float:
    return max(fact.width, fact.height) / min(fact.width, fact.height)


def _sized(images: Sequence[tuple[str, ImageFacts]]) -> _Finding:
    return {
        "ids": [name for name, _ in images],
        "widths": [fact.width for _, fact in images],
        "heights": [fact.height for _, fact in images],
    }

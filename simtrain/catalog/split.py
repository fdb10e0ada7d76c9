"""Assignment of train, val and test splits: no product or duplicate in two splits, and growth moves nothing.

What stays together is a group: a product (open set: a class), else the copies of one picture; and all products that
families tie together. A group's side follows from a hash of the seed and the group's key alone, so a product stays
where it is when others come or go; the copies of a picture without a product are named after the first of them, and
move if a new one comes before it, and groups of families may move where a new image ties them together. Copies that are
pictures of groups on different sides are set aside on the less strict one; they do not tie those groups together, or
one size chart in every product would put the whole shop on one side.
"""

from collections import defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from hashlib import blake2b

from simtrain.errors import CatalogError

FAMILY = "group:"
"""What the key of a group that families tie together begins with."""

_STRICTEST_FIRST = ("test", "val", "train")


@dataclass(frozen=True, kw_only=True)
class Split:
    """The split of each image.

    Attributes:
        sides: `train`, `val` or `test` for each image.
        straddling: Keys of the groups that the given splits had cut; each went whole to test, else to val.
        moved: Number of images that are therefore in another split than their source gave.
    """

    sides: list[str]
    straddling: list[str]
    moved: int


def group_keys(
    *,
    products: Sequence[str | None],
    labels: Sequence[str | None] | None,
    clusters: Sequence[str],
    given: Sequence[str | None],
    families: Sequence[Sequence[str | None]] = (),
) -> list[str]:
    """The key of each image's group: `product:` and the product, or `image:` and the cluster where it has none.

    Products and images that are tied by equal values of a family, also indirectly, are one group: `group:` and its
    first value in alphabetical order, of the first column that it has any of.

    Args:
        products: Product of each image, or None.
        labels: Class of each image for an open set, whose groups are whole classes (`label:`), also where a product
            has several; None: a closed set.
        clusters: Equal for copies of one picture.
        given: Split of each image by its source: copies that it put on different sides are no group.
        families: For each column that ties products together, the value of each image, such as `family=oslo`, different
            in every column; None: tied to nothing.
    """
    sides: dict[str, set[str]] = defaultdict(set)
    for cluster, split in zip(clusters, given, strict=True):
        sides[cluster].update([split] if split is not None else [])
    keys = []
    for product, cluster, split in zip(products, clusters, given, strict=True):
        apart = f":{split}" if len(sides[cluster]) > 1 else ""
        keys.append(f"product:{product}" if product is not None else f"image:{cluster}{apart}")
    if families:
        keys = _family_keys(keys, products=products, families=families)
    if labels is None:
        return keys
    return connected_keys(names=labels, links=keys, prefix="label:", otherwise=keys)


def connected_keys(
    *, names: Sequence[str | None], links: Sequence[str], prefix: str, otherwise: Sequence[str]
) -> list[str]:
    """A key for each image, equal for images that are linked by equal names or equal links, also indirectly.

    Args:
        names: Name of each image, such as its product; None links with nothing.
        links: Second key of each image, such as its cluster of copies.
        prefix: Put before a key that is a name: the group's first in alphabetical order.
        otherwise: The key of each image in a group without any name.
    """
    ties = [
        [("link", link)] + ([("name", name)] if name is not None else [])
        for name, link in zip(names, links, strict=True)
    ]
    roots = _roots(ties)
    members: dict[int, list[str]] = defaultdict(list)
    for root, name in zip(roots, names, strict=True):
        if name is not None:
            members[root].append(name)
    chosen = {root: f"{prefix}{min(names_of)}" for root, names_of in members.items()}
    return [chosen.get(root, key) for root, key in zip(roots, otherwise, strict=True)]


def _family_keys(
    keys: Sequence[str], *, products: Sequence[str | None], families: Sequence[Sequence[str | None]]
) -> list[str]:
    values = [
        [(column, value) for column, value in enumerate(row) if value is not None]
        for row in zip(*families, strict=True)
    ]
    roots = _roots(
        [  # a picture without a product ties no families together, or one size chart in each would
            [*own, *([("key", key)] if product is not None or not own else [])]
            for own, key, product in zip(values, keys, products, strict=True)
        ]
    )
    first: dict[int, tuple[int, str]] = {}
    for root, own in zip(roots, values, strict=True):
        for one in own:
            first[root] = min(one, first.get(root, one))
    return [f"{FAMILY}{first[root][1]}" if root in first else key for root, key in zip(roots, keys, strict=True)]


def _roots(ties: Sequence[Sequence[Hashable]]) -> list[int]:
    """For each row a number that is equal for rows with an equal tie, also indirectly."""
    root_of = list(range(len(ties)))

    def find(row: int) -> int:
        while root_of[row] != row:
            root_of[row] = root_of[root_of[row]]
            row = root_of[row]
        return row

    first: dict[Hashable, int] = {}
    for row, own in enumerate(ties):
        for tie in own:
            root_of[find(row)] = find(first.setdefault(tie, row))
    return [find(row) for row in range(len(ties))]


def copies_to_set_aside(sides: Sequence[str], clusters: Sequence[str]) -> list[bool]:
    """For each image, whether a copy of it is on a stricter side: test before val before train."""
    strictness = {side: rank for rank, side in enumerate(reversed(_STRICTEST_FIRST))}
    strictest: dict[str, int] = {}
    for side, cluster in zip(sides, clusters, strict=True):
        strictest[cluster] = max(strictest.get(cluster, 0), strictness[side])
    return [strictness[side] < strictest[cluster] for side, cluster in zip(sides, clusters, strict=True)]


def assign_folds(groups: Sequence[str], *, folds: int, seed: int) -> list[int]:
    """A fold, 0 to folds - 1, for each image: the same for a group, and drawn independently of its side."""
    return [int(_position(group, seed=seed, purpose="fold") * folds) for group in groups]


def assign_splits(groups: Sequence[str], *, given: Sequence[str | None], val: float, test: float, seed: int) -> Split:
    """Give every group a side.

    A group with given splits goes whole to the strictest of them: test, then val, then train. Where no group was given
    to test, it is drawn with share `test` from the groups in train or without a split; val likewise.

    Where three groups or more are drawn from, a side with a share is never left empty, nor is train: the groups whose
    hashes lie nearest to the missing side are moved. Only in such tiny catalogues can growth move a group.

    Args:
        groups: Key of each image's group.
        given: Split of each image by its source, or None.
        val: Share of the groups for val, 0 to 1.
        test: Share of the groups for test, 0 to 1.
        seed: Seed of the draw; another seed draws other groups.

    Raises:
        CatalogError: if the source had images for training, and every one is of a group that is also in val or test.
    """
    wishes: dict[str, set[str]] = defaultdict(set)
    for group, split in zip(groups, given, strict=True):
        wishes[group].update([split] if split is not None else [])
    side_of = {
        group: next((side for side in _STRICTEST_FIRST if side in wish), "train") for group, wish in wishes.items()
    }
    _refuse_an_empty_train(wishes, side_of)
    taken = set(side_of.values())
    drawable = [group for group, side in side_of.items() if side == "train"]
    side_of |= _draw(drawable, val=0.0 if "val" in taken else val, test=0.0 if "test" in taken else test, seed=seed)
    straddling = sorted(group for group, wish in wishes.items() if len(wish) > 1)
    cut = set(straddling)
    moved = sum(
        group in cut and split is not None and split != side_of[group]
        for group, split in zip(groups, given, strict=True)
    )
    return Split(sides=[side_of[group] for group in groups], straddling=straddling, moved=moved)


def _draw(groups: Sequence[str], *, val: float, test: float, seed: int) -> dict[str, str]:
    position = {group: _position(group, seed=seed, purpose="") for group in groups}
    ordered = sorted(groups, key=lambda group: (position[group], group))
    in_test = sum(place < test for place in position.values())
    in_val = sum(place < test + val for place in position.values()) - in_test
    count = len(groups)
    if count >= 3:
        reach = in_test + in_val
        in_test = max(in_test, int(test > 0))
        in_val = max(reach - in_test, int(val > 0))
    while count and in_test + in_val >= count:
        in_test, in_val = (in_test - 1, in_val) if in_test > in_val else (in_test, in_val - 1)
    sides = ["test"] * in_test + ["val"] * in_val + ["train"] * (count - in_test - in_val)
    return dict(zip(ordered, sides, strict=True))


def _position(group: str, *, seed: int, purpose: str) -> float:
    """A number in [0, 1) that depends on the seed, the group's key and what it is for alone."""
    digest = blake2b(f"{purpose}{seed}\0{group}".encode(), digest_size=8).digest()
    return (int.from_bytes(digest, "big") >> 11) / 2**53  # 53 bits: a float holds them without rounding up to 1


def _refuse_an_empty_train(wishes: dict[str, set[str]], side_of: dict[str, str]) -> None:
    in_train = [group for group, wish in wishes.items() if "train" in wish]
    if in_train and "train" not in side_of.values():
        tied = any(group.startswith(FAMILY) for group in in_train)
        what, other = ("families", "columns.group") if tied else ("products or classes", "product column")
        raise CatalogError(
            f"nothing is left to train on: all {len(in_train)} {what} in train are also "
            "in val or test, and none may be cut in two; the column is too coarse, or the split was "
            f"made image by image: map another {other} or drop the split column"
        )

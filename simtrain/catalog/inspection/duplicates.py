"""Duplicate groups: exact copies by the hash of their pixels, near copies by matched pairs."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

Pair = tuple[int, int, float, bool]
"""Two rows that show the same, how alike they are (0 to 1), and whether one is mirrored."""

_MOST_PAIRS = 60  # ends of pairs in a cluster: all pairs of eight images


def duplicate_groups(ids: Sequence[str], clusters: Sequence[str]) -> list[str | None]:
    """For each image the smallest id of its cluster; None for an image that is alone in it."""
    members = defaultdict(list)
    for identifier, cluster in zip(ids, clusters, strict=True):
        members[cluster].append(identifier)
    return [min(members[cluster]) if len(members[cluster]) > 1 else None for cluster in clusters]


@dataclass(frozen=True, kw_only=True)
class Belonging:
    """What the source says each image shows.

    Attributes:
        products: Product of each image, or None.
        labels: Class of each image, or None; it tells images apart where one of them has no product.
    """

    products: Sequence[str | None]
    labels: Sequence[str | None]


def clusters_of_copies(
    ids: Sequence[str], contents: Sequence[str], near: Sequence[Pair], *, apart: Belonging | None
) -> list[str]:
    """A key for each image, equal for copies of one picture, also by way of others.

    Images of equal pixels are copies whatever the source says of them. Near duplicates are joined in the order of their
    similarity, and, with `apart`, only as long as no cluster holds what the source tells apart: a picture without a
    product goes with the most similar one, and joins no two products.

    Args:
        ids: Unique id of each image, N of them.
        contents: Hash of each image's decoded pixels.
        near: Near duplicates.
        apart: What tells near duplicates apart; None: nothing does.

    Returns:
        The content of the member with the smallest id, so that a copy with a later id changes no key.
    """
    joined = _Joined(contents, apart)
    for first, second, _, _ in sorted(near, key=lambda pair: (-pair[2], pair[0], pair[1])):
        joined.join(contents[first], contents[second])
    first_of: dict[str, tuple[str, str]] = {}
    for identifier, content in zip(ids, contents, strict=True):
        root = joined.root(content)
        first_of[root] = min(first_of.get(root, (identifier, content)), (identifier, content))
    return [first_of[joined.root(content)][1] for content in contents]


class _Joined:
    """Sets of contents, each with the products and the labels that stand in it."""

    def __init__(self, contents: Sequence[str], apart: Belonging | None) -> None:
        self._root_of = {content: content for content in contents}
        self._products: dict[str, set[str]] = defaultdict(set)
        self._labels: dict[str, set[str]] = defaultdict(set)
        if apart is not None:
            for content, product, label in zip(contents, apart.products, apart.labels, strict=True):
                self._products[content] |= {product} if product is not None else set()
                self._labels[content] |= {label} if label is not None else set()

    def root(self, content: str) -> str:
        root_of = self._root_of
        while root_of[content] != content:
            root_of[content] = root_of[root_of[content]]
            content = root_of[content]
        return content

    def join(self, one: str, other: str) -> None:
        first, second = self.root(one), self.root(other)
        products = self._products[first] | self._products[second]
        same = len(self._products[first]) == len(self._products[second]) == len(products) == 1
        labels = self._labels[first] | self._labels[second]
        if first != second and len(products) <= 1 and (same or len(labels) <= 1):
            self._root_of[first] = second
            self._products[second], self._labels[second] = products, labels


def pairs_to_tell(pairs: Sequence[Pair], clusters: Sequence[str]) -> list[Pair]:
    """All pairs of small clusters; of a large one, whose pairs grow with the square, only what holds it together.

    Args:
        pairs: Pairs of near duplicates by row, in any order.
        clusters: A key for each row, equal for copies.
    """
    sizes = Counter(clusters[row] for pair in pairs for row in pair[:2])
    members: dict[str, set[int]] = defaultdict(set)
    told = []
    for pair in pairs:
        cluster = clusters[pair[0]]
        known = members[cluster]
        if sizes[cluster] <= _MOST_PAIRS or not known or not {pair[0], pair[1]} <= known:
            told.append(pair)
        known |= {pair[0], pair[1]}
    return told


def representatives(contents: Sequence[str]) -> list[int]:
    """The first row of each different content, in order."""
    first: dict[str, int] = {}
    for row, content in enumerate(contents):
        first.setdefault(content, row)
    return list(first.values())

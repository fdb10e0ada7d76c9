"""Duplicate groups: exact copies by the hash of their pixels, near copies by matched pairs."""

from collections import Counter, defaultdict
from collections.abc import Sequence

Pair = tuple[int, int, float, bool]
"""Two rows that show the same, how alike they are (0 to 1), and whether one is mirrored."""

_MOST_PAIRS = 60  # ends of pairs in a cluster: all pairs of eight images


def duplicate_groups(ids: Sequence[str], clusters: Sequence[str]) -> list[str | None]:
    """For each image the smallest id of its cluster; None for an image that is alone in it."""
    members = defaultdict(list)
    for identifier, cluster in zip(ids, clusters, strict=True):
        members[cluster].append(identifier)
    return [min(members[cluster]) if len(members[cluster]) > 1 else None for cluster in clusters]


def clusters_of_copies(ids: Sequence[str], contents: Sequence[str], near: Sequence[tuple[str, str]]) -> list[str]:
    """A key for each image, equal for copies of one picture, also by way of others.

    Args:
        ids: Unique id of each image, N of them.
        contents: Hash of each image's decoded pixels.
        near: Pairs of such hashes whose images are near duplicates.

    Returns:
        The content of the member with the smallest id, so that a copy with a later id changes no key.
    """
    root_of = {content: content for content in contents}

    def find(content: str) -> str:
        while root_of[content] != content:
            root_of[content] = root_of[root_of[content]]
            content = root_of[content]
        return content

    for one, other in near:
        root_of[find(one)] = find(other)
    first: dict[str, tuple[str, str]] = {}
    for identifier, content in zip(ids, contents, strict=True):
        root = find(content)
        first[root] = min(first.get(root, (identifier, content)), (identifier, content))
    return [first[find(content)][1] for content in contents]


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

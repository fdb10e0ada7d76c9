"""Copies of one picture: exact by the hash of their pixels, near by the pairs that were found."""

from collections import defaultdict
from collections.abc import Sequence


def duplicate_groups(ids: Sequence[str], clusters: Sequence[str]) -> list[str | None]:
    """For each image the smallest id of its cluster; None for an image that is alone in it."""
    members = defaultdict(list)
    for identifier, cluster in zip(ids, clusters, strict=True):
        members[cluster].append(identifier)
    return [min(members[cluster]) if len(members[cluster]) > 1 else None for cluster in clusters]


def clusters_of_copies(ids: Sequence[str], contents: Sequence[str], near: Sequence[tuple[str, str]]) -> list[str]:
    """A key for each image, equal for copies of one picture, also by way of others.

    Args:
        ids: Unique names.
        contents: Hash of each image's pixels.
        near: Pairs of contents that show the same.

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


def representatives(contents: Sequence[str]) -> list[int]:
    """The first row of each different content, in order."""
    first: dict[str, int] = {}
    for row, content in enumerate(contents):
        first.setdefault(content, row)
    return list(first.values())

"""Protocol of progress bars, and the silent one."""

from collections.abc import Iterable
from typing import Protocol, TypeVar

Item = TypeVar("Item")


class Progress(Protocol):
    """Passes items on and may show how many of `total` are done."""

    def __call__(self, items: Iterable[Item], total: int, description: str, /) -> Iterable[Item]:
        """The same items in the same order."""


def silent(items: Iterable[Item], total: int, description: str, /) -> Iterable[Item]:
    """The `Progress` that shows nothing."""
    return items

"""Configuration as it goes into a bundle that is given away: without places of this machine and accounts."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

_PLACE = re.compile(r"[/~\\]|[A-Za-z]:[/\\]|\.\.?[/\\]")
_LONGEST = 4096
_KEPT = "parameters"
"""Of the user's own code, whose meaning nobody here knows."""


def without_places(tree: Any) -> Any:
    """The same plain values, where each path of this machine is its last name alone.

    A path is a text that begins as one, or of which something is there. Arguments of the user's own code stay; see
    `places_left`.
    """
    if isinstance(tree, Mapping):
        return {key: inner if key == _KEPT else without_places(inner) for key, inner in tree.items()}
    if isinstance(tree, list | tuple):
        return [without_places(inner) for inner in tree]
    return _last_name(tree) if isinstance(tree, str) and _is_place(tree) else tree


def shared_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """A run's configuration, plain, for whoever gets its bundle: no account, no folder of runs, no path."""
    kept = {key: value for key, value in config.items() if key not in ("tracking", "checkpoints")}
    return dict(without_places(kept))


def places_left(tree: Any, *, key: str) -> Iterator[str]:
    """Keys of values that are paths of this machine.

    Args:
        tree: Plain values.
        key: What the tree is called.
    """
    if isinstance(tree, Mapping):
        for name, inner in tree.items():
            yield from places_left(inner, key=f"{key}.{name}")
    elif isinstance(tree, list | tuple):
        for inner in tree:
            yield from places_left(inner, key=key)
    elif isinstance(tree, str) and _is_place(tree):
        yield key


def _is_place(text: str) -> bool:
    if _PLACE.match(text):
        return True
    if not ("/" in text or "\\" in text) or len(text) > _LONGEST:
        return False
    try:
        return Path(text).exists()
    except (OSError, ValueError):  # a name that no file can have
        return False


def _last_name(place: str) -> str:
    return re.split(r"[/\\]", place.rstrip("/\\"))[-1]

"""Pairs of column values that differ only by left and right."""

import re
from collections.abc import Iterable, Iterator

_LEFT = ["left", "lh", "links", "linke", "linker", "linkes", "linken", "gauche", "izquierdo", "izquierda", "چپ"]
_RIGHT = ["right", "rh", "rechts", "rechte", "rechter", "rechtes", "rechten", "droit", "droite", "derecho", "derecha"]
_RIGHT += ["راست"]
_SIDE = {**dict.fromkeys(_LEFT, "left"), **dict.fromkeys(_RIGHT, "right")}
_WORD = re.compile(r"[^\W_]+")


def left_right_pairs(values: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Left and right values that are equal but for that word (`glove left`, `glove_right`), each pair once.

    English, German, French, Spanish and Persian; whole words, in any case.
    """
    seen: dict[tuple[str, ...], dict[str, str]] = {}
    for value in values:
        words = _WORD.findall(value.lower())
        sides = {_SIDE[word] for word in words if word in _SIDE}
        if len(sides) != 1:
            continue
        found = seen.setdefault(tuple("" if word in _SIDE else word for word in words), {})
        side = sides.pop()
        if side not in found:
            found[side] = value
            if len(found) == 2:
                yield found["left"], found["right"]

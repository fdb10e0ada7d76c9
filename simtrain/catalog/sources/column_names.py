"""Columns that do not fit together: names that stand more than once, and types that differ from file to file."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from simtrain.phrases import counted, joined, listed, quoted, shortened

_CHARACTERS = 60
_REMARKS = 5


def told_apart(names: Sequence[str]) -> tuple[list[str], list[str]]:
    """Names that differ, in the same order, and a remark for each that stood more than once.

    Args:
        names: Names of a table's columns; of two that are `label` the second becomes `label_2`, or the next number
            that is free.
    """
    times, taken = Counter(names), set(names)
    if len(taken) == len(names):
        return list(names), []
    seen: set[str] = set()
    numbers: dict[str, int] = {}
    apart: list[str] = []
    others: dict[str, list[str]] = {}
    for name in names:
        new, number = name, numbers.get(name, 2)
        if name in seen:
            while (new := f"{name}_{number}") in taken:
                number += 1
            numbers[name] = number + 1  # a header of 20,000 equal names need not be gone through again for each
            others.setdefault(name, []).append(new)
        seen.add(name)
        taken.add(new)
        apart.append(new)
    remarks = [
        f"the column {quoted(shortened(name, to=_CHARACTERS))} stands {times[name]} times: the first is used, "
        f"{'the other is' if len(new) == 1 else 'the others are'} kept as {_shown(new)}"
        for name, new in others.items()
    ]
    return apart, remarks


def repeated_finding(name: str, remarks: Sequence[str]) -> list[dict[str, Any]]:
    """A finding of the remarks of `told_apart` about the file of that name; none without any."""
    if not remarks:
        return []
    others = len(remarks) - _REMARKS
    more = [f"{counted(others, 'more column')} of names that repeat"] if others > 0 else []
    return [{"kind": "columns_repeated", "message": f"{name}: {'; '.join([*remarks[:_REMARKS], *more])}"}]


def types_differ(name: str, types: Sequence[str]) -> dict[str, Any]:
    """A finding of a column that has these types in different files."""
    message = f"column '{name}' is {joined(types)} in different files; it was read as text"
    return {"kind": "column_types_differ", "column": name, "types": list(types), "message": message}


def _shown(names: Sequence[str]) -> str:
    return listed([shortened(name, to=_CHARACTERS) for name in names])

"""The path column of a table as files: rows without one are left out, likely files are named for what is missing."""

import unicodedata
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from simtrain.catalog.sources.path_lookup import FoundPath, PathLookup, start_of
from simtrain.catalog.sources.source import text_of
from simtrain.errors import CatalogError
from simtrain.phrases import counted, quoted

_LOOKED_AT = 200
"""So many missing files are looked for elsewhere."""


def paths_of(
    table: Path, cells: Sequence[object], *, name: str, lookup: PathLookup
) -> tuple[list[str], list[int], list[dict[str, Any]]]:
    """Relative POSIX paths, the numbers of their rows from 0, and findings.

    Args:
        table: The table, for messages.
        cells: The column's values.
        name: The column's name.
        lookup: Finds the files.

    Raises:
        CatalogError: if no row has a path, at least half of the paths cannot be used, or none is there but all of them
            would be in another folder.
    """
    found: list[FoundPath] = []
    texts: list[str] = []
    kept: list[int] = []
    empty: list[int] = []
    problems: list[tuple[int, str]] = []
    for row, cell in enumerate(cells):
        where = f"{table}: row {row + 1}: {name}"
        text = text_of(cell, where=where)
        if text is None:
            empty.append(row)
            continue
        try:
            found.append(lookup.find(text, where=where))
        except CatalogError as error:
            problems.append((row, str(error)))
            continue
        texts.append(text)
        kept.append(row)
    _leave_files_to_their_rows(found, texts, kept, problems)
    if len(empty) == len(cells):
        raise CatalogError(f"{table}: row 1: {name} is empty")
    if problems and 2 * len(problems) >= len(cells) - len(empty):
        raise CatalogError(problems[0][1])
    told = [*_rows_left_out(table, name, empty=empty, problems=problems), *_mended(texts, found, kept)]
    missing = [text for text, one in zip(texts, found, strict=True) if not one.is_there]
    if missing:
        told += _not_found(table, missing, rows=len(found), lookup=lookup)
    return [one.path for one in found], kept, told


def _leave_files_to_their_rows(
    found: list[FoundPath], texts: list[str], kept: list[int], problems: list[tuple[int, str]]
) -> None:
    """Take back what was mended to a file that another row means: it is as missing as before."""
    times = Counter(one.path for one in found)
    for place in reversed(range(len(found))):
        one = found[place]
        if one.mended is None or times[one.path] == 1:
            continue
        if one.given is not None:
            found[place] = FoundPath(path=one.given, mended=None, given=one.given, is_there=False)
        else:
            problems.append((kept[place], f"row {kept[place] + 1}: '{texts[place]}' is not there"))
            del found[place], texts[place], kept[place]


def _rows_left_out(
    table: Path, name: str, *, empty: list[int], problems: list[tuple[int, str]]
) -> list[dict[str, Any]]:
    found = []
    if empty:
        message = f"{table.name}: {counted(len(empty), 'row')} without {name} left out, the first: row {empty[0] + 1}"
        found.append({"kind": "rows_left_out", "rows": [row + 1 for row in empty], "message": message})
    if problems:
        message = f"{counted(len(problems), 'row')} left out, the first: {problems[0][1]}"
        found.append({"kind": "rows_left_out", "rows": [row + 1 for row, _ in problems], "message": message})
    return found


def _mended(texts: Sequence[str], found: Sequence[FoundPath], kept: Sequence[int]) -> list[dict[str, Any]]:
    mended = [(text, one, row) for text, one, row in zip(texts, found, kept, strict=True) if one.mended is not None]
    if not mended:
        return []
    ways = ", ".join(f"{how} {count}" for how, count in Counter(one.mended for _, one, _ in mended).most_common())
    text, one, _ = mended[0]
    shown = [text, one.path]
    if unicodedata.normalize("NFC", text) == unicodedata.normalize("NFC", one.path):  # they look the same
        shown = [name.encode("ascii", "backslashreplace").decode() for name in shown]
    message = (
        f"{counted(len(mended), 'path')} of the table differ from the files' names and were taken for them ({ways}), "
        "such "
        f"as {quoted(shown[0])} for {quoted(shown[1])}"
    )
    rows = [row + 1 for _, _, row in mended]
    return [{"kind": "paths_mended", "rows": rows, "taken_for": [one.path for _, one, _ in mended], "message": message}]


def _not_found(table: Path, missing: Sequence[str], *, rows: int, lookup: PathLookup) -> list[dict[str, Any]]:
    some = [(text, likely) for text in missing[:_LOOKED_AT] if (likely := lookup.likely(text)) is not None]
    start = start_of(some, root=lookup.root)
    if start is not None and start != lookup.root:
        hint = f"; files of their names lie below another folder: --set root={start}"
    elif some:
        hint = f"; a file of the name of {quoted(some[0][0])} lies at {quoted(some[0][1])}"
    else:
        return []  # whoever reads the files finds that they are not there
    if len(missing) == rows:
        raise CatalogError(
            f"{table}: none of its {counted(rows, 'image')} is there; looked in {lookup.root} for "
            f"{quoted(missing[0])}{hint}"
        )
    message = (
        f"{len(missing)} of {counted(rows, 'image')} of the table are not there; looked in {lookup.root}, the first: "
        f"{quoted(missing[0])}{hint}"
    )
    return [{"kind": "paths_not_found", "paths": list(missing), "message": message}]

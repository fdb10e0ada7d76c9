"""Values of a table's columns as parts of the catalogue: splits, true or false, ids, text."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from simtrain.catalog.sources.source import boolean_of, split_of, text_of
from simtrain.errors import CatalogError
from simtrain.phrases import counted, quoted, shortened

_LARGEST_SHARE_LEFT_OUT = 0.2
_CHARACTERS = 80
_NO_ID = "; not to use the column: --set columns.id=false"


def rows_that_fit(
    path: Path, frame: pd.DataFrame, *, used: Mapping[str, str], rows: Sequence[int]
) -> tuple[list[int], list[dict[str, Any]]]:
    """Places of the rows whose split, query and gallery are allowed, and a finding for the others.

    Args:
        path: The table, for messages.
        frame: Its rows.
        used: Part -> column.
        rows: Number of each row, from 1.

    Raises:
        CatalogError: if more than a fifth of the rows would be left out.
    """
    problems: dict[int, str] = {}
    for part in ("split", "query", "gallery"):
        name = used.get(part)
        for place, value in enumerate(frame[name].tolist() if name is not None else []):
            try:
                _value(value, part=part, where=f"{path}: row {rows[place]}: {name}")
            except CatalogError as error:
                problems.setdefault(place, str(error))
    if not problems:
        return list(range(len(rows))), []
    first = min(problems)
    if len(problems) > _LARGEST_SHARE_LEFT_OUT * len(rows):
        raise CatalogError(problems[first])
    message = f"{counted(len(problems), 'row')} left out, the first: {problems[first]}"
    finding = {"kind": "rows_left_out", "rows": [rows[place] for place in sorted(problems)], "message": message}
    return [place for place in range(len(rows)) if place not in problems], [finding]


def parts_of(
    path: Path, frame: pd.DataFrame, *, used: Mapping[str, str], rows: Sequence[int]
) -> dict[str, Sequence[Any]]:
    """The values of every part but the path.

    Raises:
        CatalogError: for a value that the part does not allow.
    """
    return {
        part: [
            _value(value, part=part, where=f"{path}: row {row}: {name}")
            for value, row in zip(frame[name].tolist(), rows, strict=True)
        ]
        for part, name in used.items()
        if part != "path"
    }


def unfit_ids(values: pd.Series, *, rows: Sequence[int]) -> str | None:
    """Why a column gives no ids, although it is called so; None: it may."""
    empty = values.isna().tolist()
    if any(empty):
        return f"is empty in row {rows[empty.index(True)]}"
    repeated = values.astype(str).duplicated(keep=False).tolist()
    if any(repeated):
        place = repeated.index(True)
        return f"holds {quoted(shortened(str(values.iloc[place]), to=_CHARACTERS))} in several rows"
    return None


def refuse_repeated_ids(table: Path, ids: Sequence[str | None], *, rows: Sequence[int], name: str | None) -> None:
    """Two images of one id, or one without any, are a mistake.

    Args:
        table: The table, for messages.
        ids: Id of each image.
        rows: Number of each row, from 1.
        name: The column with the ids; None: they are the paths.

    Raises:
        CatalogError: naming the rows.
    """
    first: dict[str, int] = {}
    for row, identifier in zip(rows, ids, strict=True):
        if identifier is None:
            raise CatalogError(f"{table}: row {row}: {name} is empty; every image needs an id of its own{_NO_ID}")
        if identifier in first:
            what = "id" if name is not None else "path"
            hint = _NO_ID if name is not None else "; a column of unique ids can be named with --set columns.id=NAME"
            shown = quoted(shortened(identifier, to=_CHARACTERS))
            raise CatalogError(f"{table}: rows {first[identifier]} and {row} have the same {what} {shown}{hint}")
        first[identifier] = row


def _value(value: object, *, part: str, where: str) -> Any:
    if part == "split":
        return split_of(text_of(value, where=where), where=where)
    if part not in ("query", "gallery"):
        return text_of(value, where=where)
    try:
        return boolean_of(value, where=where)
    except CatalogError as error:
        raise CatalogError(f"{error}; not to use the column: --set columns.{part}=false") from None

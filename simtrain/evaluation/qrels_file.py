"""Reading of relevance judgements: a table with the columns query, item and grade, or a text file of TREC."""

from pathlib import Path
from typing import Any

from simtrain.catalog.sources.csv_dialect import Dialect
from simtrain.catalog.sources.source import text_of
from simtrain.catalog.sources.table_file import TABLE_SUFFIXES, is_table, read_table_file
from simtrain.errors import CatalogError, nearest
from simtrain.evaluation.qrels import Qrels
from simtrain.files import sha256_of_file

_TREC_SUFFIXES = (".txt", ".qrels")
_PARTS = ("query", "item", "grade")


def read_qrels(path: Path, *, by: str | None) -> Qrels:
    """Read judgements: `query`, `item` and, unless every row is relevant, `grade` (0 or less: not relevant).

    Args:
        path: A `.csv`, `.tsv`, `.jsonl`, `.parquet` or `.xlsx` table, or TREC's `.txt` or `.qrels`: `query 0 item
            grade` a line.
        by: Column of the catalogue whose values the file names; None: ids of images.

    Raises:
        CatalogError: for a file that cannot be read, missing columns, empty cells, grades that are no numbers, and a
            pair with two different grades.
    """
    if not path.is_file():
        raise CatalogError(f"{path}: no such file; expected a table of relevant pairs (query, item, grade)")
    if path.suffix.lower() in _TREC_SUFFIXES:
        rows = _trec_rows(path)
    elif is_table(path):
        rows = _table_rows(path)
    else:
        allowed = ", ".join((*TABLE_SUFFIXES, *_TREC_SUFFIXES))
        raise CatalogError(f"{path}: not a table of relevant pairs; expected a file with one of: {allowed}")
    judged: dict[tuple[str, str], tuple[int, float]] = {}
    for number, cells in enumerate(rows, start=1):
        query, item, grade = _row(cells, where=f"{path}: row {number}")
        earlier, other = judged.setdefault((query, item), (number, grade))
        if other != grade:
            raise CatalogError(
                f"{path}: rows {earlier} and {number} grade '{item}' for '{query}' {other:g} and {grade:g}; keep one"
            )
    return Qrels(
        file=path.name,
        sha256=sha256_of_file(path),
        by=by,
        queries=tuple(query for query, _ in judged),
        items=tuple(item for _, item in judged),
        grades=tuple(grade for _, grade in judged.values()),
    )


def _table_rows(path: Path) -> list[tuple[Any, Any, Any]]:
    table = read_table_file(path, text_columns=_PARTS, dialect=Dialect(encoding=None, separator=None))
    for finding in table.findings:
        if finding["kind"] in ("rows_left_out", "columns_repeated"):
            raise CatalogError(f"{path}: {finding['message']}; mend or remove them")
    by_small = {str(name).strip().lower(): name for name in reversed(table.frame.columns)}
    for part in _PARTS[:2]:
        if part not in by_small:
            names = [str(name) for name in table.frame.columns]
            hint = nearest(part, names) or f"; it has {', '.join(names)}"
            raise CatalogError(f"{path}: no column '{part}'; expected query, item and perhaps grade{hint}")
    queries, items = (table.frame[by_small[part]].tolist() for part in _PARTS[:2])
    grades = table.frame[by_small["grade"]].tolist() if "grade" in by_small else ["1"] * len(queries)
    return list(zip(queries, items, grades, strict=True))


def _trec_rows(path: Path) -> list[tuple[Any, Any, Any]]:
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise CatalogError(f"{path}: cannot be read as text: {error}") from None
    rows: list[tuple[Any, Any, Any]] = []
    for number, line in enumerate(lines, start=1):
        fields = line.split()
        if len(fields) != 4:
            raise CatalogError(
                f"{path}: line {number} has {len(fields)} fields; expected 4, as TREC writes them: query 0 item grade. "
                "For ids with blanks take a .csv with the columns query, item, grade"
            )
        rows.append((fields[0], fields[2], fields[3]))
    if not rows:
        raise CatalogError(f"{path}: has no rows")
    return rows


def _row(cells: tuple[Any, Any, Any], *, where: str) -> tuple[str, str, float]:
    query, item, grade = (text_of(cell, where=f"{where}: {part}") for cell, part in zip(cells, _PARTS, strict=True))
    if query is None or item is None or grade is None:
        empty = next(part for part, text in zip(_PARTS, (query, item, grade), strict=True) if text is None)
        raise CatalogError(f"{where}: {empty} is empty")
    try:
        number = float(grade)
    except ValueError:
        number = float("nan")
    if not -1e9 < number < 1e9:
        raise CatalogError(f"{where}: grade: '{grade}' is no grade; expected a number, 0 for not relevant")
    return query, item, number

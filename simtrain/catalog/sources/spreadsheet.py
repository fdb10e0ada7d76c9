"""Excel sheets (`.xlsx`, `.xlsm`) read as tables, by the optional package openpyxl."""

import re
import warnings
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from datetime import timedelta as duration
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from simtrain.catalog.sources.csv_records import header_place
from simtrain.errors import CatalogError
from simtrain.failures import damage_told
from simtrain.phrases import counted, listed, quoted, shortened

SHEET_SUFFIXES = (".xlsx", ".xlsm")
OTHER_SHEETS = (".xls", ".xlsb", ".ods", ".numbers")
"""Names of spreadsheets that are not read."""

_OLD_OR_ENCRYPTED = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_LARGEST_CONTENT = 2 << 30
_SMALL = 16 << 20
_MOST_TIMES = 200  # rows with their numbers shrink some 10 times; blanks, 1,000 times, would fill the memory
_MOST_ROWS = 1 << 20
_MOST_COLUMNS = 1 << 14
_MOST_CELLS = 20_000_000  # 2 GB of memory
_PART = 1 << 20
_MERGED = re.compile(rb'<mergeCell ref="[A-Z]{1,3}(\d{1,7}):[A-Z]{1,3}(\d{1,7})"')
_LONGEST_MERGE = 64
_UNSAVED = re.compile(rb'<c (?![^>]*t="str")[^>]*>\s*(?:<f[^>]*/>|<f[^>]*>[^<]*</f>)\s*(?:<v\s*/>|<v>\s*</v>)?\s*</c>')
"""A cell with a formula and no result; one whose result is an empty text is of the type `str`."""
_LONGEST_CELL = 9000  # bytes; Excel's formulas have at most 8,192 characters
_EXACT = 2**53
_MOST_ABOVE = 12
_ERRORS = {"#DIV/0!", "#GETTING_DATA", "#N/A", "#NAME?", "#NULL!", "#NUM!", "#REF!", "#VALUE!"}


@dataclass(frozen=True, kw_only=True)
class Sheet:
    """The table of a sheet.

    Attributes:
        columns: Name and values of each column, in order; values are plain ones, dates as `YYYY-MM-DD`.
        remarks: What is worth telling of how it was read.
    """

    columns: list[tuple[str, list[Any]]]
    remarks: list[str]


def read_sheet(path: Path) -> Sheet:
    """Read the first sheet that is shown and holds a table; its first row below titles names the columns.

    A table has two rows and two columns or more; where no sheet has, it is the first that is not empty. Titles are rows
    of one value above one with several. Formulas have the values that were saved with them.

    Raises:
        CatalogError: if openpyxl is not installed, the file is no such spreadsheet, is damaged, unpacks to more than
            2 GB or to 200 times its size, has more than 1,048,576 rows, 16,384 columns or 20,000,000 cells, or no sheet
            has a value.
    """
    if find_spec("openpyxl") is None:
        raise CatalogError(
            f"{path}: Excel sheets need openpyxl: pip install 'simtrain[xlsx]', or save the sheet as .csv"
        )
    _refuse_others(path)
    with damage_told(path, error=CatalogError, advice="; save it again, or as .csv"), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what openpyxl does not keep, such as rules for colours
        return _first_sheet(path)


def _refuse_others(path: Path) -> None:
    try:
        with path.open("rb") as file:
            head = file.read(len(_OLD_OR_ENCRYPTED))
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
    except OSError as error:
        raise CatalogError(f"{path}: cannot be read: {error.strerror}") from None
    except (zipfile.BadZipFile, ValueError, NotImplementedError):
        reason = "is no Excel file (.xlsx), or damaged"
        if head == _OLD_OR_ENCRYPTED:
            reason = "has a password, or is of an old Excel (.xls)"
        raise CatalogError(f"{path}: {reason}; save it as .xlsx without a password, or as .csv") from None
    size = sum(member.file_size for member in members)
    if size > _LARGEST_CONTENT:
        raise CatalogError(f"{path}: unpacks to {size / 1e9:.0f} GB, more than 2; save the sheet as .csv")
    if any(member.file_size > max(_SMALL, _MOST_TIMES * member.compress_size) for member in members):
        raise CatalogError(f"{path}: unpacks to more than {_MOST_TIMES} times its size; save the sheet as .csv")


def _first_sheet(path: Path) -> Sheet:
    from openpyxl import load_workbook

    with path.open("rb") as file:
        book = load_workbook(file, read_only=True, data_only=True, keep_links=False)
        shown = [sheet for sheet in book.worksheets if sheet.sheet_state == "visible"]
        first: tuple[str, list[list[Any]]] | None = None
        for sheet in shown:
            sheet.reset_dimensions()  # what a file says of its size need not be true
            rows = list(_rows(sheet.iter_rows(values_only=True), path=path))
            is_table = len(rows) > 1 and any(len(row) > 1 for row in rows)
            if is_table or (rows and first is None):
                first = sheet.title, rows
            if is_table:
                break
    if first is None:
        raise CatalogError(f"{path}: has no rows")
    title, rows = first
    others = [sheet.title for sheet in shown if sheet.title != title]
    return _table(path, rows, remarks=[*_other_sheets(title, others), *_merged_rows(path), *_unsaved_formulas(path)])


def _rows(found: Iterator[Sequence[Any]], *, path: Path) -> Iterator[list[Any]]:
    """Rows with a value, without the empty cells at their ends."""
    count = 0
    for number, cells in enumerate(found, start=1):
        if number > _MOST_ROWS:
            raise CatalogError(f"{path}: has more than {_MOST_ROWS:,} rows, which no sheet of Excel has")
        if len(cells) > _MOST_COLUMNS:
            raise CatalogError(f"{path}: has more than {_MOST_COLUMNS:,} columns, which no sheet of Excel has")
        row = [cell.strip() or None if isinstance(cell, str) else cell for cell in cells]
        while row and row[-1] is None:
            row.pop()
        count += len(row)
        if count > _MOST_CELLS:
            raise _too_large(path)
        if row:
            yield row


def _too_large(path: Path) -> CatalogError:
    return CatalogError(f"{path}: has more than {_MOST_CELLS:,} cells; save the sheet as .csv")


def _table(path: Path, rows: list[list[Any]], *, remarks: list[str]) -> Sheet:
    place = header_place([["" if cell is None else str(cell) for cell in row] for row in rows[:_MOST_ABOVE]])
    header, records = rows[place], rows[place + 1 :]
    if place:
        title = str(next(cell for cell in rows[0] if cell is not None))
        remarks.append(
            f"{counted(place, 'row')} above the header passed over, such as {quoted(shortened(title, to=60))}"
        )
    columns, empty, errors = list[tuple[str, list[Any]]](), list[str](), 0
    positions = sorted({place for row in rows for place, cell in enumerate(row) if cell is not None})
    if len(positions) * len(records) > _MOST_CELLS:
        raise _too_large(path)
    for position in positions:
        name = header[position] if position < len(header) else None
        values = [record[position] if position < len(record) else None for record in records]
        if name is None and all(value is None for value in values):
            continue
        if records and all(value is None for value in values):
            empty.append(str(_plain(name)))
        errors += sum(isinstance(value, str) and value in _ERRORS for value in values)
        columns.append((f"column_{position + 1}" if name is None else str(_plain(name)), [_plain(v) for v in values]))
    if empty:
        remarks.append(f"{listed(empty)} without a value")
    if errors:
        remarks.append(f"{counted(errors, 'cell')} with the error of a formula, such as #N/A, taken as empty")
    return Sheet(columns=columns, remarks=remarks)


def _other_sheets(name: str, others: Sequence[str]) -> list[str]:
    if not others:
        return []
    return [f"the sheet {quoted(name)} is read, {listed(others)} not; to read another one, put it first"]


def _merged_rows(path: Path) -> list[str]:
    """What is to be known where cells are merged over rows; openpyxl does not say so of a sheet that is streamed."""
    merges = (match.groups() for match in _in_sheets(path, _MERGED, longest=_LONGEST_MERGE))
    merged = sum(first != last for first, last in merges)
    if not merged:
        return []
    return [f"{counted(merged, 'cell')} merged over rows: the first row has the value, the others have none; fill them"]


def _unsaved_formulas(path: Path) -> list[str]:
    """What is to be known where a program has written formulas and not what they give, as Python's libraries do."""
    unsaved = sum(1 for _ in _in_sheets(path, _UNSAVED, longest=_LONGEST_CELL))
    if not unsaved:
        return []
    cells = counted(unsaved, "cell")
    return [f"{cells} with a formula whose result was not saved, taken as empty; open the file in Excel and save it"]


def _in_sheets(path: Path, pattern: re.Pattern[bytes], *, longest: int) -> Iterator[re.Match[bytes]]:
    """What a pattern of at most so many bytes finds in the sheets of a file, read a part at a time."""
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            if name.startswith("xl/worksheets/") and name.endswith(".xml"):
                before = b""
                with archive.open(name) as file:
                    while part := file.read(_PART):
                        found = list(pattern.finditer(before + part))
                        yield from found
                        before = (before + part)[found[-1].end() if found else -longest :][-longest:]


def _plain(value: Any) -> Any:
    """A cell as a value of JSON: dates and times as text, whole numbers without decimals."""
    if isinstance(value, str):
        return None if value in _ERRORS else value
    if isinstance(value, datetime):
        return value.date().isoformat() if value.time() == time() else value.isoformat(sep=" ")
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, duration):
        return str(value)
    if isinstance(value, float) and value.is_integer() and abs(value) < _EXACT:
        return int(value)
    return value

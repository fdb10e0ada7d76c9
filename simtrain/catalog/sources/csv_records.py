"""Header and records of delimited text, line by line: one damaged line leaves the others readable."""

import csv
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from simtrain.catalog.picture_kinds import IMAGE_SUFFIXES
from simtrain.errors import CatalogError
from simtrain.phrases import counted

_LARGEST_CELL = 2**31 - 1
_MOST_DAMAGED = 100
_MOST_ABOVE = 10


@dataclass(frozen=True, kw_only=True)
class Records:
    """What a delimited text holds.

    Attributes:
        header: Names of the columns, blanks around them cut.
        records: As many fields each as the header; lines without any value are none.
        lines: The line that each record ends in.
        problems: Lines that are no record of this header, each with what is wrong.
        above: Lines above the header, such as a title.
    """

    header: list[str]
    records: list[list[str]]
    lines: list[int]
    problems: list[tuple[int, str]]
    above: list[str]


def read_records(path: Path, text: str, separator: str) -> Records:
    """The header and what stands below it.

    The header is the first line with a value, but for lines with one value above a line with several, as titles and
    remarks are. A line whose quotes do not fit is no record, and the next ones are read without it.

    Raises:
        CatalogError: if there is no header, or very many lines are damaged.
    """
    lines = list(lines_of(text))
    entries = [
        (number, record)
        for number, record in _parsed(path, lines, separator)
        if isinstance(record, str) or any(field.strip() for field in record)
    ]
    head = header_place([record for _, record in entries])
    if not entries or isinstance(entries[head][1], str):
        raise CatalogError(f"{path}: is empty; expected a header line with the names of the columns")
    header = [name.strip().removeprefix("\ufeff") for name in entries[head][1]]
    records: list[list[str]] = []
    numbers: list[int] = []
    problems: list[tuple[int, str]] = []
    for number, record in entries[head + 1 :]:
        if isinstance(record, str):
            problems.append((number, record))
        elif len(record) < len(header) or any(field.strip() for field in record[len(header) :]):
            problems.append((number, f"has {counted(len(record), 'field')}; the header has {len(header)}"))
        else:
            records.append(record[: len(header)])
            numbers.append(number)
    above = [lines[number - 1].strip() for number, _ in entries[:head]]
    return Records(header=header, records=records, lines=numbers, problems=problems, above=above)


def header_place(records: Sequence[list[str] | str]) -> int:
    """Place of the header among the first lines of a table.

    It is the first line with several values, if so has the next one, and those above have one each; else the first.

    Args:
        records: Fields of each line with a value; of one that is no record, what is wrong with it.
    """
    first = records[:_MOST_ABOVE]
    for place, record in enumerate(first):
        below = first[place + 1] if place + 1 < len(first) else record
        if isinstance(record, str) or isinstance(below, str) or _names_an_image(record):
            return 0
        if len(_values(record)) > 1:
            return place if len(_values(below)) > 1 else 0
    return 0


def lines_of(text: str) -> Iterator[str]:
    """Lines by any of the three usual ends, each with its own; other characters that Unicode calls ends are text."""
    for line in re.finditer(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+$", text):
        yield line.group()


@contextmanager
def large_cells() -> Iterator[None]:
    """Python's own bound for a cell, 131,072 characters, is less than a description with its HTML."""
    before = csv.field_size_limit(_LARGEST_CELL)
    try:
        yield
    finally:
        csv.field_size_limit(before)


def _parsed(path: Path, lines: Sequence[str], separator: str) -> Iterator[tuple[int, list[str] | str]]:
    """The line that each record ends in, and the record, or what is wrong with the line."""
    first = next((line for line in lines if separator in line), "")
    blanks = re.search(re.escape(separator) + " ", first) is not None  # `path, product`: blanks behind each separator
    start = damaged = 0
    while start < len(lines):
        rest = islice(lines, start, None)
        reader = csv.reader(rest, delimiter=separator, strict=True, skipinitialspace=blanks)
        whole = 0  # lines of the records that are finished
        try:
            with large_cells():
                for record in reader:
                    whole = reader.line_num
                    yield start + whole, record
            start = len(lines)
        except csv.Error as error:
            start, damaged = start + whole + 1, damaged + 1
            opened = "a quote that opens here is never closed" if "end of data" in str(error) else str(error)
            yield start, f"is not CSV: {opened}"
            if damaged > _MOST_DAMAGED:
                raise CatalogError(f"{path}: line {start}: is not CSV: {opened}") from None


def _values(record: Sequence[str]) -> list[str]:
    return [field for field in record if field.strip()]


def _names_an_image(record: Sequence[str]) -> bool:
    return any(field.strip().lower().endswith(tuple(IMAGE_SUFFIXES)) for field in record)

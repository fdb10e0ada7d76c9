"""Dialects of delimited text: encoding, separator, blanks behind it, found where nobody names them."""

import csv
import re
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from statistics import mode

from simtrain.catalog.picture_kinds import accident_of
from simtrain.catalog.sources.csv_records import large_cells, lines_of, read_records
from simtrain.catalog.sources.text_encoding import decoded
from simtrain.errors import CatalogError
from simtrain.phrases import counted, quoted, shortened

_SEPARATORS = (",", ";", "\t", "|")
_SAMPLE = 50
_NAMES = {"\t": "tabs"}


@dataclass(frozen=True, kw_only=True)
class Dialect:
    """How a text file stands for a table.

    Attributes:
        encoding: Name of its encoding; null: found, and told where it is none of Unicode's.
        separator: What separates fields; null: the one of comma, semicolon, tab and bar that fits.
    """

    encoding: str | None
    separator: str | None


@dataclass(frozen=True, kw_only=True)
class DelimitedText:
    """The records of a delimited text.

    Attributes:
        header: Names of the columns, blanks around them cut.
        records: As many fields each as the header; lines without any value are none.
        lines: The line that each record ends in.
        left_out: Lines with another number of fields, or whose quotes do not fit, each with what is wrong.
        separator: What separates fields.
        remarks: What is worth telling of the dialect.
    """

    header: list[str]
    records: list[list[str]]
    lines: list[int]
    left_out: list[tuple[int, str]]
    separator: str
    remarks: list[str]


def read_delimited(path: Path, *, dialect: Dialect) -> DelimitedText:
    """Read a `.csv`, `.tsv` or the like.

    Raises:
        CatalogError: if it cannot be read or decoded, or more than a fifth of its lines are no record of its header.
    """
    text, remarks = _decoded(path, dialect.encoding)
    hinted = re.match(r"sep=(.)\r?\n", text)  # a spreadsheet's first line
    if hinted:
        text = text[hinted.end() :]
    given = dialect.separator or (hinted.group(1) if hinted else None)
    separator = given or _separator_of(text, first="\t" if path.suffix.lower() in (".tsv", ".tab") else ",")
    if separator != "," and dialect.separator is None and path.suffix.lower() == ".csv":
        remarks.append(f"its fields are separated by {_NAMES.get(separator, repr(separator))}")
    found = read_records(path, text, separator)
    if found.problems and (len(found.problems) > len(found.records) / 4 or not found.records):
        line, problem = found.problems[0]
        one = len(found.header) == 1
        hint = "; are its fields separated by something else? --set dialect.separator=';'" if one else ""
        raise CatalogError(f"{path}: line {line} {problem}{hint}")
    if found.above:
        named = counted(len(found.above), "line")
        remarks.append(f"{named} above the header passed over, such as {quoted(shortened(found.above[0], to=60))}")
    return DelimitedText(
        header=found.header,
        records=found.records,
        lines=found.lines,
        left_out=found.problems,
        separator=separator,
        remarks=remarks,
    )


def _decoded(path: Path, encoding: str | None) -> tuple[str, list[str]]:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise CatalogError(f"{path}: cannot be read: {error.strerror}") from None
    accident = accident_of(data[:4096]) if data else None
    if accident is not None and not data.lstrip().startswith(b"{"):
        raise CatalogError(f"{path}: {accident}")
    return decoded(path, data, encoding=encoding)


def _separator_of(text: str, *, first: str) -> str:
    """The separator by which the header has most fields, all lines as many as the header; else the usual one."""
    best, most = first, 0
    for separator in (first, *(other for other in _SEPARATORS if other != first)):
        with large_cells():
            try:
                sample = list(islice(csv.reader(lines_of(text), delimiter=separator), _SAMPLE))
            except csv.Error:
                continue
        counts = [len(record) for record in sample if record]
        width = counts[0] if counts and counts[0] > 1 else mode(counts or [0])  # a title has no separator
        if width > max(most, 1) and counts.count(width) >= 0.8 * len(counts):
            best, most = separator, width
    return best

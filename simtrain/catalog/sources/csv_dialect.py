"""Dialects of delimited text: encoding, separator, blanks behind it, found where nobody names them."""

import csv
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from simtrain.catalog.picture_kinds import accident_of
from simtrain.errors import CatalogError

_SEPARATORS = (",", ";", "\t", "|")
_SAMPLE = 50
_LARGEST_CELL = 2**31 - 1
_NAMES = {"\t": "tabs"}
_FOREIGN_LETTERS = re.compile(rb"[\x80-\xff]{3,}")


@dataclass(frozen=True, kw_only=True)
class Dialect:
    """How a text file stands for a table.

    Attributes:
        encoding: Name of its encoding; null: UTF-8, by its mark UTF-16, else Windows' for Western Europe (told).
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
        left_out: Lines with another number of fields.
        separator: What separates fields.
        remarks: What is worth telling of the dialect.
    """

    header: list[str]
    records: list[list[str]]
    lines: list[int]
    left_out: list[int]
    separator: str
    remarks: list[str]


def read_delimited(path: Path, *, dialect: Dialect) -> DelimitedText:
    """Read a `.csv`, `.tsv` or the like.

    Raises:
        CatalogError: if it cannot be read or decoded, is not CSV, or more than a fifth of its lines have another number
            of fields than the header.
    """
    text, remarks = _decoded(path, dialect.encoding)
    hinted = re.match(r"sep=(.)\r?\n", text)  # a spreadsheet's first line
    if hinted:
        text = text[hinted.end() :]
    given = dialect.separator or (hinted.group(1) if hinted else None)
    separator = given or _separator_of(text, first="\t" if path.suffix.lower() in (".tsv", ".tab") else ",")
    if separator != "," and dialect.separator is None and path.suffix.lower() == ".csv":
        remarks.append(f"its fields are separated by {_NAMES.get(separator, repr(separator))}")
    header, records, lines, left_out = _records(path, text, separator)
    if left_out and (len(left_out) > len(records) / 4 or not records):
        raise CatalogError(_wrong_number_of_fields(path, text, separator, line=left_out[0], header=header))
    return DelimitedText(
        header=header, records=records, lines=lines, left_out=left_out, separator=separator, remarks=remarks
    )


def _decoded(path: Path, encoding: str | None) -> tuple[str, list[str]]:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise CatalogError(f"{path}: cannot be read: {error.strerror}") from None
    accident = accident_of(data[:4096]) if data else None
    if accident is not None and not data.lstrip().startswith(b"{"):
        raise CatalogError(f"{path}: {accident}")
    if encoding is not None:
        try:
            return data.decode(encoding).removeprefix("\ufeff"), []
        except (LookupError, UnicodeDecodeError) as error:
            raise CatalogError(f"{path}: dialect.encoding '{encoding}' does not fit: {error}") from None
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return _by(path, data, "utf-16"), ["its text is UTF-16"]
    try:
        return data.decode("utf-8-sig"), []
    except UnicodeDecodeError as error:
        foreign = sum(map(len, _FOREIGN_LETTERS.findall(data)))
        if 2 * foreign > sum(byte >= 0x80 for byte in data):  # whole words of other letters: not Western Europe
            raise CatalogError(
                f"{path}: not UTF-8 text ({error.reason}); save it as UTF-8, or name its encoding, such as Windows' "
                "for Arabic and Persian: --set dialect.encoding=cp1256"
            ) from None
    told = "its text is not UTF-8 and was read as Windows' for Western Europe (cp1252); --set dialect.encoding=NAME"
    return _by(path, data, "cp1252"), [told]


def _by(path: Path, data: bytes, encoding: str) -> str:
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        raise CatalogError(f"{path}: not UTF-8 text ({error.reason}); save it as UTF-8") from None


def _separator_of(text: str, *, first: str) -> str:
    """The separator by which the header has most fields, all lines as many as the header; else the usual one."""
    best, most = first, 0
    for separator in (first, *(other for other in _SEPARATORS if other != first)):
        with _large_cells():
            try:
                sample = list(islice(csv.reader(_lines(text), delimiter=separator), _SAMPLE))
            except csv.Error:
                continue
        counts = [len(record) for record in sample if record]
        if counts and counts[0] > max(most, 1) and counts.count(counts[0]) >= 0.8 * len(counts):
            best, most = separator, counts[0]
    return best


def _records(path: Path, text: str, separator: str) -> tuple[list[str], list[list[str]], list[int], list[int]]:
    records: list[list[str]] = []
    lines: list[int] = []
    left_out: list[int] = []
    first = text.partition("\n")[0]
    blanks = re.search(re.escape(separator) + " ", first) is not None  # `path, product`: blanks behind each separator
    rows = _lines(text)
    with _large_cells():
        reader = csv.reader(rows, delimiter=separator, strict=True, skipinitialspace=blanks)
        try:
            header = [name.strip().removeprefix("\ufeff") for name in next(reader, [])]
            if not header:
                raise CatalogError(f"{path}: is empty; expected a header line with the names of the columns")
            for record in reader:
                if len(record) == len(header) and any(field.strip() for field in record):
                    records.append(record)
                    lines.append(reader.line_num)
                elif len(record) != len(header) and any(field.strip() for field in record):
                    left_out.append(reader.line_num)
        except csv.Error as error:
            raise CatalogError(f"{path}: line {reader.line_num}: not CSV: {error}") from None
    return header, records, lines, left_out


def _lines(text: str) -> Iterator[str]:
    """Lines by any of the three usual ends, each with its own; other characters that Unicode calls ends are text."""
    for line in re.finditer(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+$", text):
        yield line.group()


def _wrong_number_of_fields(path: Path, text: str, separator: str, *, line: int, header: Sequence[str]) -> str:
    with _large_cells():
        reader = csv.reader(_lines(text), delimiter=separator)
        fields = next((len(record) for record in reader if reader.line_num == line), 0)
    hint = "; are its fields separated by something else? --set dialect.separator=';'" if len(header) == 1 else ""
    return f"{path}: line {line} has {fields} fields; the header has {len(header)}{hint}"


@contextmanager
def _large_cells() -> Iterator[None]:
    """Python's own bound for a cell, 131,072 characters, is less than a description with its HTML."""
    before = csv.field_size_limit(_LARGEST_CELL)
    try:
        yield
    finally:
        csv.field_size_limit(before)

"""Dialects of delimited text: encoding, separator, blanks behind it, found where nobody names them."""

import csv
import re
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from statistics import mode

from simtrain.catalog.picture_kinds import accident_of
from simtrain.catalog.sources.csv_records import large_cells, lines_of, read_records
from simtrain.errors import CatalogError
from simtrain.phrases import counted, quoted, shortened

_SEPARATORS = (",", ";", "\t", "|")
_SAMPLE = 50
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
    if encoding is not None:
        try:
            return data.decode(encoding).removeprefix("\ufeff"), []
        except (LookupError, UnicodeDecodeError) as error:
            raise CatalogError(f"{path}: dialect.encoding '{encoding}' does not fit: {error}") from None
    wide = _wide_encoding(data)
    if wide is not None:
        return _by(path, data, wide).removeprefix("\ufeff"), [f"its text is {wide[:6].upper()}"]
    try:
        return data.decode("utf-8-sig"), []
    except UnicodeDecodeError as error:
        foreign = sum(map(len, _FOREIGN_LETTERS.findall(data)))
        if 2 * foreign > sum(byte >= 0x80 for byte in data):  # whole words of other letters: not Western Europe
            raise CatalogError(
                f"{path}: not UTF-8 text ({error.reason}); save it as UTF-8, or name its encoding, such as Windows' "
                "for Arabic and Persian (Cyrillic: cp1251, Chinese: gb18030): --set dialect.encoding=cp1256"
            ) from None
    told = "its text is not UTF-8 and was read as Windows' for Western Europe (cp1252); --set dialect.encoding=NAME"
    return _by(path, data, "cp1252"), [told]


def _wide_encoding(data: bytes) -> str | None:
    """UTF-32 or UTF-16 by its mark, or by the zeros of Latin letters; None: neither."""
    if data[:4] in (b"\xff\xfe\0\0", b"\0\0\xfe\xff"):
        return "utf-32"
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return "utf-16"
    head = data[:2000]
    for encoding, zeros, others in (("utf-16-le", head[1::2], head[::2]), ("utf-16-be", head[::2], head[1::2])):
        if zeros and zeros.count(0) > 0.6 * len(zeros) and 0 not in others:
            return encoding
    return None


def _by(path: Path, data: bytes, encoding: str) -> str:
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        raise CatalogError(f"{path}: not UTF-8 text ({error.reason}); save it as UTF-8") from None


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

"""Products and labels that a person reads as equal: united, or told where only upper and lower case differ."""

import re
import unicodedata
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pandas as pd

from simtrain.catalog.sources.source import PARTS, Source, text_column
from simtrain.phrases import counted, listed, quoted

_SHAPELESS: dict[str, str | int | None] = dict.fromkeys("\u200b\u200e\u200f\u202a\u202b\u202c\u2060\ufeff\u00ad", "")
_LETTERS = str.maketrans(
    {
        "\u064a": "\u06cc", "\u0649": "\u06cc",  # yeh
        "\u0643": "\u06a9",  # kaf
        "\u06d5": "\u0647", "\u06c0": "\u0647",  # heh
        "\u0640": "",  # a stroke that makes a word longer
        **{chr(0x0660 + digit): str(digit) for digit in range(10)},
        **{chr(0x06F0 + digit): str(digit) for digit in range(10)},
        **_SHAPELESS,
    }
)  # fmt: skip
"""Arabic and Persian letters and digits that look the same, and characters without a shape."""

_NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?")
_WHOLE = re.compile(r"([+-]?[0-9]+)\.0+")
_RUINED = re.compile(r"[+-]?[0-9][.,]?[0-9]*[eE]\+[0-9]{2,3}|#+|#(REF|VALUE|NAME|NUM|DIV/0|N/A)[!?]?", re.ASCII)
_WORDS = frozenset({"unknown", "undefined", "missing"})
_PRODUCT_WORDS = frozenset(
    {"0", "00", "000", "0000", "-1", "other", "default", "tbd", "na", "no", "x", "xxx", "misc", "empty"}
)
"""Words that may mean none, which are told where they have more images than others."""

_FAR_MORE, _MANY = 5, 10
_MOST_TOLD = 5
_MOST_TEXTS = 10_000


def united(source: Source, *, nothing: Sequence[str]) -> Source:
    """The source with products and labels in one spelling, and products that are words for nothing left empty.

    Equal are values that differ in blanks at the ends or in number, in the Unicode form of letters (wide letters and
    ligatures too), in Arabic and Persian forms of a letter or digit, in characters without a shape, and, where all
    values of a column are numbers, in a `.0`. The spelling that most images have is kept. Values that differ in case
    alone stay two, and are told.

    Args:
        source: The images as they were read.
        nothing: Words that stand for no product, in any case.
    """
    findings = list(source.findings)
    rows = source.rows.copy()
    ids = rows["id"].tolist()
    for column in ("product", "label"):
        values = [None if pd.isna(value) else str(value) for value in rows[column]]
        if column == "product":
            values, told = _without_nothing(values, ids, nothing=nothing)
            findings += told
        values, told = _one_spelling(values, ids, column=column)
        findings += told
        rows[column] = text_column(values)
        findings += _differ_in_case(values, column=column)
        findings += _words_of_many_images(values, column=column, nothing=nothing)
    findings += _further_columns(rows)
    return replace(source, rows=rows, findings=findings)


def comparable_values(values: Sequence[str | None], *, nothing: Sequence[str]) -> list[str | None]:
    """Values of one column in a spelling that is equal where a person reads them as equal; words for nothing are None.

    Args:
        values: Value of each image, or None.
        nothing: Words that stand for nothing, in any case.
    """
    present, _ = _without_nothing(list(values), [""] * len(values), nothing=nothing)
    keys, _ = _keys([value for value in present if value is not None])
    return [None if value is None else keys[value] or None for value in present]


def _keys(present: Sequence[str]) -> tuple[dict[str, str], bool]:
    """For each value the spelling by which it is compared; and whether all of them are numbers."""
    numbers = bool(present) and all(_NUMBER.fullmatch(_key(value)) for value in present)
    return {value: _WHOLE.sub(r"\1", _key(value)) if numbers else _key(value) for value in set(present)}, numbers


def _key(value: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", value).translate(_LETTERS).split())


def _clean(value: str) -> str:
    return " ".join(unicodedata.normalize("NFC", value).translate(str.maketrans(_SHAPELESS)).split())


def _one_spelling(
    values: list[str | None], ids: Sequence[str], *, column: str
) -> tuple[list[str | None], list[dict[str, Any]]]:
    present = [value for value in values if value is not None]
    keys, numbers = _keys(present)
    spelled: dict[str, Counter[str]] = defaultdict(Counter)
    for value in present:
        spelled[keys[value]][value] += 1
    chosen = {key: min(ways, key=lambda way: (-ways[way], way)) for key, ways in spelled.items()}
    if numbers:
        chosen = {key: _WHOLE.sub(r"\1", way.strip()) for key, way in chosen.items()}
    result = [None if value is None or not keys[value] else _clean(chosen[keys[value]]) for value in values]
    several = {key: sorted(ways) for key, ways in spelled.items() if len(ways) > 1}
    if not several:
        return result, []
    key, ways = next(iter(sorted(several.items())))
    named = [identifier for identifier, value in zip(ids, values, strict=True) if value and keys[value] in several]
    shown = [way.encode("ascii", "backslashreplace").decode() if _look_equal(ways) else way for way in ways]
    message = (
        f"{counted(len(several), column)} written in more than one way taken as one each ({_how(ways)}), such as "
        f"{listed(shown)}; now {quoted(_clean(chosen[key]))}"
    )
    return result, [
        {"kind": "values_united", "column": column, "values": list(several.values()), "ids": named, "message": message}
    ]


def _look_equal(ways: Sequence[str]) -> bool:
    return len({_clean(way) for way in ways}) < len(ways) and all(way == way.strip() for way in ways)


def _how(ways: Sequence[str]) -> str:
    if len({unicodedata.normalize("NFC", way) for way in ways}) < len(ways):
        return "the Unicode form of letters"
    if len({" ".join(way.split()) for way in ways}) < len(ways):
        return "blanks"
    if any(_WHOLE.fullmatch(way.strip()) for way in ways):
        return "a number with and without .0"
    return "Arabic and Persian letters, or characters without a shape"


def _without_nothing(
    values: list[str | None], ids: Sequence[str], *, nothing: Sequence[str]
) -> tuple[list[str | None], list[dict[str, Any]]]:
    words = {word.strip().casefold() for word in nothing}
    empty = [row for row, value in enumerate(values) if value is not None and _key(value).casefold() in words]
    gone = set(empty)
    ruined = [
        row
        for row, value in enumerate(values)
        if value is not None and words and row not in gone and _RUINED.fullmatch(_key(value))
    ]
    found = []
    for rows, kind, what in (
        (empty, "words_for_nothing", "a word for no product"),
        (
            ruined,
            "ruined_ids",
            "the ruin of a number or a formula, as spreadsheets leave it; export the column as text",
        ),
    ):
        if rows:
            names = Counter(str(values[row]) for row in rows)
            word, count = names.most_common(1)[0]
            message = (
                f"'{word}' is the product of {counted(count, 'image')}{_and_others(len(names) - 1)}: taken for {what}; "
                f"{counted(len(rows), 'image')} without a product. If it is one: --set nothing=[]"
            )
            named = [ids[row] for row in rows]
            found.append({"kind": kind, "values": dict(names), "ids": named, "message": message})
    gone |= set(ruined)
    return [None if row in gone else value for row, value in enumerate(values)], found


def _and_others(others: int) -> str:
    return f" (and {counted(others, 'other value')} likewise)" if others else ""


def _differ_in_case(values: Sequence[str | None], *, column: str) -> list[dict[str, Any]]:
    ways: dict[str, set[str]] = defaultdict(set)
    for value in values:
        if value is not None:
            ways[value.casefold()].add(value)
    several = [sorted(group) for _, group in sorted(ways.items()) if len(group) > 1]
    if not several:
        return []
    message = (
        f"{counted(len(several), column)} in several spellings of upper and lower case, which count as different: "
        f"{listed(several[0])}; write them alike if they are one"
    )
    return [{"kind": "values_differ_in_case", "column": column, "values": several, "message": message}]


def _words_of_many_images(values: Sequence[str | None], *, column: str, nothing: Sequence[str]) -> list[dict[str, Any]]:
    """Values that may mean none: such words, and a product of far more images than the others have."""
    counts = Counter(value for value in values if value is not None)
    words = {*_WORDS, *(name.casefold() for name in nothing)}
    ordered = sorted(counts.values())
    found = []
    for value, images in counts.most_common():
        usual = _median_without(ordered, images)
        word = value.casefold() in (words if column == "label" else words | _PRODUCT_WORDS) or not _has_letters(value)
        told = word and images > 1 if column == "label" else images > (usual if word else max(_FAR_MORE * usual, _MANY))
        if told:
            message = (
                f"'{value}' is the {column} of {counted(images, 'image')}, where others have {usual:g}; if it means "
                "none, leave the cell empty"
            )
            found.append(
                {"kind": "value_of_many_images", "column": column, "value": value, "images": images, "message": message}
            )
    return found[:_MOST_TOLD]


def _median_without(ordered: Sequence[int], one: int) -> float:
    """The median of sorted numbers without one of them; that one where it is alone."""
    place = bisect_left(ordered, one)
    rest = len(ordered) - 1
    low, high = (ordered[at if at < place else at + 1] if rest else one for at in ((rest - 1) // 2, rest // 2))
    return (low + high) / 2


def _has_letters(value: str) -> bool:
    return any(map(str.isalnum, value))


def _further_columns(rows: pd.DataFrame) -> list[dict[str, Any]]:
    """The source's own columns of text: kept as they came, told where equal values are spelled differently."""
    found: list[dict[str, Any]] = []
    for column in rows.columns:
        if column in PARTS or not isinstance(rows[column].dtype, pd.StringDtype):
            continue
        distinct = [value for value in rows[column].dropna().unique() if isinstance(value, str)]
        if len(distinct) > _MOST_TEXTS:
            continue
        ways: dict[str, list[str]] = defaultdict(list)
        for value in distinct:
            ways[_key(value)].append(value)
        several = [sorted(group) for _, group in sorted(ways.items()) if len(group) > 1]
        if several:
            message = (
                f"column '{column}' has {counted(len(several), 'value')} in several spellings that look equal, kept as "
                f"they came: {listed(several[0])}"
            )
            found.append({"kind": "values_alike", "column": str(column), "values": several, "message": message})
    return found

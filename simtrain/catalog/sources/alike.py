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
from simtrain.catalog.sources.spelling import cleaned, compared, folded
from simtrain.phrases import counted, listed, quoted

_NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?")
_ANY_NUMBER = re.compile(r"([+-]?)([0-9]+)(?:[.,]([0-9]+))?")
_GROUPED = re.compile(r"[+-]?[0-9]{1,3}(?:([, ’'\u00a0\u202f])[0-9]{3})(?:\1[0-9]{3})*")  # noqa: RUF001 - as it is written
_WHOLE = re.compile(r"([+-]?[0-9]+)\.0+")
_RUINED = re.compile(
    r"[+-]?[0-9][.,]?[0-9]*[eE]\+[0-9]{2,3}|[+-]?[0-9][.,][0-9]+[eE]-?[0-9]{1,3}"  # 4.00E+12, 4,00E12, 1.2e-05
    r"|#+|#¡?[^\W\d_][\w/]*[!?]|#(REF|VALUE|NAME|NUM|DIV/0|N/A|NV|N/B|N/D|H/\u0414|I/T)"  # ####, #REF!, #WERT!, #NV
)
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
    ligatures too), in letters and strokes of one shape (Arabic and Persian, Latin and Cyrillic, dashes, quotes), in
    characters without a shape, and in a number's `.0`. The spelling that most images have is kept. Values that differ
    in case, or are equal as numbers only (`0012`, `12`, `12.0`, `1,200`), stay two, and are told.

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
        findings += [*_differ_in_case(values, column=column), *_equal_numbers(values, column=column)]
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
    """For each value the spelling by which it is compared; and whether all of them are numbers.

    `1000.0` is `1000` where all are numbers, or where both stand there and no number has decimals.
    """
    keys = {value: compared(value) for value in set(present)}
    forms = set(keys.values())
    numbers = [form for form in forms if _NUMBER.fullmatch(form)]
    all_numbers = bool(numbers) and len(numbers) == len(forms)
    whole = all("." not in form or _WHOLE.fullmatch(form) for form in numbers)
    bare = {form: _WHOLE.sub(r"\1", form) for form in forms}
    use = {form for form in forms if all_numbers or (whole and bare[form] in forms)}
    return {value: bare[key] if key in use else key for value, key in keys.items()}, all_numbers


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
    result = [None if value is None or not keys[value] else cleaned(chosen[keys[value]]) for value in values]
    several = {key: sorted(ways) for key, ways in spelled.items() if len(ways) > 1}
    if not several:
        return result, []
    key, ways = next(iter(sorted(several.items())))
    named = [identifier for identifier, value in zip(ids, values, strict=True) if value and keys[value] in several]
    shown = [way.encode("ascii", "backslashreplace").decode() if _look_equal(ways) else way for way in ways]
    message = (
        f"{counted(len(several), column)} written in more than one way taken as one each ({_how(ways)}), such as "
        f"{listed(shown)}; now {quoted(cleaned(chosen[key]))}"
    )
    return result, [
        {"kind": "values_united", "column": column, "values": list(several.values()), "ids": named, "message": message}
    ]


def _look_equal(ways: Sequence[str]) -> bool:
    unseen = len({cleaned(way) for way in ways}) < len(ways) or len({way.isascii() for way in ways}) > 1
    return unseen and all(way == way.strip() for way in ways)


def _how(ways: Sequence[str]) -> str:
    if len({unicodedata.normalize("NFC", way) for way in ways}) < len(ways):
        return "the Unicode form of letters"
    if len({" ".join(way.split()) for way in ways}) < len(ways):
        return "blanks"
    if any(_WHOLE.fullmatch(way.strip()) for way in ways):
        return "a number with and without .0"
    return "letters and strokes that look the same, or characters without a shape"


def _without_nothing(
    values: list[str | None], ids: Sequence[str], *, nothing: Sequence[str]
) -> tuple[list[str | None], list[dict[str, Any]]]:
    words = {folded(word) for word in nothing}
    empty = [row for row, value in enumerate(values) if value is not None and folded(value) in words]
    gone = set(empty)
    ruined = [
        row
        for row, value in enumerate(values)
        if value is not None and words and row not in gone and _RUINED.fullmatch(compared(value))
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


def _equal_numbers(values: Sequence[str | None], *, column: str) -> list[dict[str, Any]]:
    """Values that are equal as numbers: spreadsheets take zeros at the front away, and write decimals and groups."""
    ways: dict[str, set[str]] = defaultdict(set)
    for value in values:
        number = None if value is None else _number(value)
        if value is not None and number is not None:
            ways[number].add(value)
    several = [sorted(group) for _, group in sorted(ways.items()) if len(group) > 1]
    if not several:
        return []
    message = (
        f"{counted(len(several), column)} written as equal numbers, which count as different: "
        f"{listed(several[0])}; write them alike if they are one"
    )
    return [{"kind": "values_equal_as_numbers", "column": column, "values": several, "message": message}]


def _number(value: str) -> str | None:
    """A number as it is compared, without what programs add to it or take away; None: it is none."""
    if _GROUPED.fullmatch(value):
        value = "".join(character for character in value if character.isdigit() or character == "-")
    found = _ANY_NUMBER.fullmatch(value)
    if found is None:
        return None
    sign, whole, decimals = found.groups()
    decimals = (decimals or "").rstrip("0")
    return f"{'-' if sign == '-' else ''}{whole.lstrip('0') or '0'}{'.' if decimals else ''}{decimals}"


def _words_of_many_images(values: Sequence[str | None], *, column: str, nothing: Sequence[str]) -> list[dict[str, Any]]:
    """Values that may mean none: such words, and a product of far more images than the others have."""
    counts = Counter(value for value in values if value is not None)
    words = {*_WORDS, *(folded(word) for word in nothing)}
    ordered = sorted(counts.values())
    found = []
    for value, images in counts.most_common():
        usual = _median_without(ordered, images)
        word = folded(value) in (words if column == "label" else words | _PRODUCT_WORDS) or not _has_letters(value)
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
            ways[compared(value)].append(value)
        several = [sorted(group) for _, group in sorted(ways.items()) if len(group) > 1]
        if several:
            message = (
                f"column '{column}' has {counted(len(several), 'value')} in several spellings that look equal, kept as "
                f"they came: {listed(several[0])}"
            )
            found.append({"kind": "values_alike", "column": str(column), "values": several, "message": message})
    return found

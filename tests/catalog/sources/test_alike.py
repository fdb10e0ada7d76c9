"""Products and labels that a person reads as equal."""

import unicodedata
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from simtrain.catalog.sources.alike import united
from simtrain.catalog.sources.source import Source, source_rows, text_column
from simtrain.config import PrepareConfig

WORDS = PrepareConfig().nothing


def source(products: list[str | None], labels: list[str | None] | None = None, **further: list[str]) -> Source:
    parts: dict[str, Any] = {"path": [f"{row}.jpg" for row in range(len(products))], "product": products}
    rows = source_rows(parts | ({"label": labels} if labels else {}), {k: text_column(v) for k, v in further.items()})
    return Source(rows=rows, root=Path(), findings=[])


def products(*values: str | None, nothing: list[str] = WORDS) -> list[str | None]:
    found = united(source(list(values)), nothing=nothing).rows["product"]
    return [None if pd.isna(value) else value for value in found]


def kinds(found: Source) -> list[str]:
    return [finding["kind"] for finding in found.findings]


@pytest.mark.parametrize(
    ("one", "other", "kept"),
    [
        (unicodedata.normalize("NFD", "Größe"), "Größe", "Größe"),
        ("SKU0 ", "SKU0", "SKU0"),
        ("\u00a0SKU0", "SKU0", "SKU0"),
        ("blue  mug", "blue mug", "blue mug"),
        ("\u0643\u064a\u0641", "\u06a9\u06cc\u0641", "\u06a9\u06cc\u0641"),  # a bag, in Arabic and in Persian letters
        ("\u06f1\u06f2\u06f3", "123", "123"),  # Persian digits
        ("\u0661\u0662\u0663", "\u06f1\u06f2\u06f3", "\u06f1\u06f2\u06f3"),
        ("SKU\u200b1", "SKU1", "SKU1"),
        ("\uff33\uff2b\uff351", "SKU1", "SKU1"),  # wide letters
        ("\ufedb\ufbfe\ufed2", "\u06a9\u06cc\u0641", "\u06a9\u06cc\u0641"),  # letters in their printed forms
        ("\u200fSKU1", "SKU1", "SKU1"),
        ("1000.0", "1000", "1000"),
        (
            "\u06a9\u062a\u0627\u0628\u200c",
            "\u06a9\u062a\u0627\u0628",
            "\u06a9\u062a\u0627\u0628",
        ),  # a joiner at its end
        ("\u06a9\u0650\u062a\u0627\u0628", "\u06a9\u062a\u0627\u0628", "\u06a9\u062a\u0627\u0628"),  # a sign of a vowel
        ("\u2066SKU1\u2069", "SKU1", "SKU1"),  # marks of direction
        ("SKU\u20131", "SKU-1", "SKU-1"),  # a word processor's dash
        ("men\u2019s", "men's", "men's"),
        ("\u0410\u041212", "AB12", "AB12"),  # Cyrillic
        ("'00123", "00123", "00123"),  # a spreadsheet's mark of a text
    ],
)
def test_values_that_look_equal_are_one(one: str, other: str, kept: str) -> None:
    found = united(source([one, other, other], [one, other, other]), nothing=WORDS)
    assert found.rows["product"].tolist() == found.rows["label"].tolist() == [kept] * 3
    assert [finding["column"] for finding in found.findings if finding["kind"] == "values_united"] == [
        "product",
        "label",
    ]


def test_versions_are_no_whole_numbers() -> None:
    assert products("v1.0", "1.0", "1", "1.50") == ["v1.0", "1.0", "1", "1.50"]
    assert products("007", "7", "7.0") == ["007", "7", "7"]


def test_a_number_that_stands_there_with_and_without_a_point_is_one_beside_texts() -> None:
    assert products("1000.0", "1000", "SKU1", "7.0") == ["1000", "1000", "SKU1", "7.0"]


def test_a_joiner_within_a_word_stays() -> None:
    assert products("\u0646\u06cc\u0645\u200c\u0628\u0648\u062a") == ["\u0646\u06cc\u0645\u200c\u0628\u0648\u062a"]


def test_zeros_at_the_front_stay_apart_and_are_told() -> None:
    found = united(source(["0012", "12", "a", "0", "00"]), nothing=WORDS)
    assert found.rows["product"].tolist() == ["0012", "12", "a", "0", "00"]
    (finding,) = found.findings
    assert (finding["kind"], finding["values"]) == ("values_equal_as_numbers", [["0", "00"], ["0012", "12"]])


def test_numbers_that_a_person_reads_as_equal_stay_apart_and_are_told() -> None:
    values = ["1000", "1000.0", "1,000", "1 000", "+1000", "2.5", "2,50", "-7", "7", "A7", "1,00", "12,34,56"]
    found = united(source(values), nothing=WORDS)
    (finding,) = [one for one in found.findings if one["kind"] == "values_equal_as_numbers"]
    assert finding["values"] == [["+1000", "1 000", "1,000", "1000", "1000.0"], ["2,50", "2.5"]]
    assert finding["message"].startswith("2 products written as equal numbers, which count as different: ")


def test_the_spelling_that_most_images_have_is_kept() -> None:
    assert products("\u0643", "\u0643", "\u06a9") == ["\u0643"] * 3


def test_capitals_stay_apart_and_are_told() -> None:
    found = united(source(["Mug", "mug", "hat"]), nothing=WORDS)
    assert found.rows["product"].tolist() == ["Mug", "mug", "hat"]
    assert [finding["values"] for finding in found.findings] == [[["Mug", "mug"]]]


@pytest.mark.parametrize(
    "word", ["nan", "NULL", "None", "-", "n/a", "<NA>", " NaN ", "#N/A", "\\N", "(null)", "\u2014"]
)
def test_words_for_nothing_are_no_product(word: str) -> None:
    found = united(source([word, "p", word]), nothing=WORDS)
    assert found.rows["product"].isna().tolist() == [True, False, True]
    (finding,) = found.findings
    assert (finding["kind"], finding["ids"]) == ("words_for_nothing", ["0.jpg", "2.jpg"])
    assert products(word.strip(), "p", nothing=[]) == [word.strip(), "p"]


@pytest.mark.parametrize("ruin", ["4.00E+12", "4,00E+12", "1E+15", "#REF!", "########", "4.00E12", "#WERT!", "#NV"])
def test_ruined_ids_are_no_product(ruin: str) -> None:
    found = united(source([ruin, "p", ruin, "4E12"]), nothing=WORDS)
    assert found.rows["product"].isna().tolist() == [True, False, True, False]
    assert kinds(found) == ["ruined_ids"]


def test_labels_that_may_mean_none_are_told_and_stay() -> None:
    found = united(source([None] * 4, ["NA", "none", "none", "mug"]), nothing=WORDS)
    assert found.rows["label"].tolist() == ["NA", "none", "none", "mug"]
    (finding,) = found.findings
    assert finding["message"] == (
        "'none' is the label of 2 images, where others have 1; if it means none, leave the cell empty"
    )


@pytest.mark.parametrize("word", ["0", "unknown", "---", "GIFT"])
def test_a_product_of_far_more_images_than_others_is_told(word: str) -> None:
    values = [f"p{row // 2}" for row in range(20)] + [word] * 11
    (finding,) = united(source(values), nothing=WORDS).findings
    assert (finding["kind"], finding["value"], finding["images"]) == ("value_of_many_images", word, 11)


def test_other_columns_are_kept_and_told() -> None:
    found = united(source([None] * 3, colour=["red", "red ", "blue"]), nothing=WORDS)
    assert found.rows["colour"].tolist() == ["red", "red ", "blue"]
    (finding,) = found.findings
    assert (finding["kind"], finding["column"], finding["values"]) == ("values_alike", "colour", [["red", "red "]])

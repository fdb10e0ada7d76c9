"""Columns of a shop as Milvus's fields."""

import numpy as np
import pandas as pd
import pytest

from simtrain.errors import SimtrainError
from simtrain.serving.milvus.fields import fields_of, values_of

TABLE = pd.DataFrame(
    {
        "id": ["1", "2"],
        "Größe (cm)": [1.5, np.nan],
        "2nd colour": ["red", None],
        "größe_cm": [1, 2],
        "رنگ": ["سرخ", "آبی"],
        "tags": [["a", "b"], None],
        "sale": [True, False],
        "maybe": pd.Series([True, None], dtype=object),
        "nothing": [None, None],
        "when": pd.to_datetime(["2026-01-02", None]),
    }
)


def test_names_are_ascii_and_told_apart_and_types_are_kept() -> None:
    found = {field.column: (field.name, field.kind) for field in fields_of(TABLE)}
    assert found == {
        "Größe (cm)": ("Groe_cm", "double"),
        "2nd colour": ("_2nd_colour", "varchar"),
        "größe_cm": ("groe_cm", "int64"),
        "رنگ": ("column", "varchar"),
        "tags": ("tags", "json"),
        "sale": ("sale", "bool"),
        "maybe": ("maybe", "bool"),
        "when": ("when", "varchar"),
    }


def test_values_are_plain_and_nothing_is_none() -> None:
    rows, cut = values_of(TABLE, fields_of(TABLE))
    assert cut == 0
    assert rows[0] == {
        "id": "1", "Groe_cm": 1.5, "_2nd_colour": "red", "groe_cm": 1, "column": "سرخ", "tags": ["a", "b"],
        "sale": True, "maybe": True, "when": "2026-01-02 00:00:00",
    }  # fmt: skip
    assert rows[1] == {
        "id": "2", "Groe_cm": None, "_2nd_colour": None, "groe_cm": 2, "column": "آبی", "tags": None, "sale": False,
        "maybe": None, "when": None,
    }  # fmt: skip


def test_names_that_become_equal_are_numbered() -> None:
    table = pd.DataFrame({"id": ["1"], "a b": [1], "a-b": [2], "embedding": [3]})
    assert [field.name for field in fields_of(table)] == ["a_b", "a_b_2", "embedding_2"]


def test_a_text_beyond_what_milvus_takes_is_cut_between_characters_and_counted() -> None:
    table = pd.DataFrame({"id": ["1"], "text": ["é" * 40_000]})
    rows, cut = values_of(table, fields_of(table))
    assert (rows[0]["text"], cut) == ("é" * 32_767, 1)


def test_an_id_beyond_what_milvus_takes_is_refused() -> None:
    table = pd.DataFrame({"id": ["x" * 1025]})
    with pytest.raises(SimtrainError, match="Milvus takes ids of at most 1024 bytes"):
        values_of(table, fields_of(table))

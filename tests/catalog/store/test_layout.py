"""The record of all files: times that 64 bits do not hold, and columns of another type."""

import os
from pathlib import Path

import pyarrow as pa
import pytest

from simtrain.catalog.store.layout import FACTS, Record, StoreSettings, change_time, read_record, write_record
from simtrain.parquet import read_table, write_table

SETTINGS = StoreSettings(kind="raw", side=64, quality=0)


@pytest.mark.parametrize(("seconds", "expected"), [(2**40, 2**63 - 1), (-(2**40), -(2**63)), (3, 3_000_000_000)])
def test_time_of_after_2262_is_held(seconds: int, expected: int) -> None:
    found = os.stat_result((0,) * 10, {"st_mtime_ns": seconds * 10**9})
    assert change_time(found) == expected


def record(folder: Path) -> Path:
    row = {field.name: None for field in FACTS} | {"path": "a.jpg", "size": 3, "mtime_ns": 2**63 - 1}
    table = pa.Table.from_pylist([row], schema=FACTS)
    write_record(Record(table=table, settings=SETTINGS, origin={"source": "x"}), folder / "images.parquet")
    return folder / "images.parquet"


def test_record_comes_back(tmp_path: Path) -> None:
    record(tmp_path)
    found = read_record(tmp_path, columns=None)
    assert found is not None
    assert found.settings == SETTINGS
    assert found.table["mtime_ns"].to_pylist() == [2**63 - 1]


def test_column_of_another_type_is_no_record(tmp_path: Path) -> None:
    path = record(tmp_path)
    table = read_table(path)
    place = table.column_names.index("offset")
    write_table(table.set_column(place, "offset", pa.array(["far"])), path)
    assert read_record(tmp_path, columns=["path", "offset"]) is None
    assert read_record(tmp_path, columns=["path"]) is not None

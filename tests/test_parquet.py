"""Parquet files by path: names that pyarrow would take for addresses or columns."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from simtrain.parquet import kept_by_pandas, read_schema, read_table, write_table

TABLE = pa.table({"a": [1, 2], "b": ["x", "y"]}).replace_schema_metadata({"k": "v"})


@pytest.mark.parametrize("folder", ["shop:v2", "s3:", "file:x", "colour=red", "a%20b", "کفش"])
def test_relative_folder_of_any_name(folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = Path(folder) / "x.parquet"
    path.parent.mkdir()
    write_table(TABLE, path)
    assert read_table(path).equals(TABLE, check_metadata=True)
    assert read_schema(path).metadata == {b"k": b"v"}


def test_same_bytes_as_pyarrow(tmp_path: Path) -> None:
    pq.write_table(TABLE, tmp_path / "theirs")
    write_table(TABLE, tmp_path / "ours")
    assert (tmp_path / "ours").read_bytes() == (tmp_path / "theirs").read_bytes()


def test_columns_that_are_asked_for(tmp_path: Path) -> None:
    write_table(TABLE, tmp_path / "x")
    assert read_table(tmp_path / "x", columns=["b"]).column_names == ["b"]
    with pytest.raises(pa.ArrowInvalid, match="no column 'c'"):
        read_table(tmp_path / "x", columns=["c"])


def test_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_table(tmp_path / "x")


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (pa.array([[("a", 1), ("b", 2)], None], pa.map_(pa.string(), pa.int64())), [("a", 1), ("b", 2)]),
        (pa.array([{"m": [("a", 1)]}, None], pa.struct([("m", pa.map_(pa.string(), pa.int64()))])), [("a", 1)]),
        (pa.array([[[("a", 1)]], None], pa.list_(pa.map_(pa.string(), pa.int64()))), [("a", 1)]),
    ],
)
def test_maps_come_back_from_pandas_as_lists_of_key_and_value(column: pa.Array, expected: list[object]) -> None:
    kept = kept_by_pandas(pa.table({"n": [1, 2], "x": column}))
    again = pa.Table.from_pandas(kept.to_pandas())
    (value, nothing) = again["x"].to_pylist()
    while not isinstance(value, list) or not isinstance(value[0], dict):
        value = value["m"] if isinstance(value, dict) else value[0]
    assert [(entry["key"], entry["value"]) for entry in value] == expected
    assert nothing is None
    assert again.column_names == ["n", "x"]


@pytest.mark.parametrize(
    ("zone", "kept"), [("Mars/Olympus", "UTC"), ("Europe/Berlin", "Europe/Berlin"), ("UTC", "UTC")]
)
def test_times_of_a_zone_that_is_not_known_are_those_of_utc(zone: str, kept: str) -> None:
    table = kept_by_pandas(pa.table({"t": pa.array([0], pa.timestamp("us", zone))}))
    assert table.schema.field("t").type == pa.timestamp("us", kept)
    assert table.to_pandas()["t"][0].timestamp() == 0


def test_other_columns_stay_as_they_are() -> None:
    table = pa.table({"a": [1], "b": [["x"]], "c": [{"d": 1.5}], "e": pa.array([0], pa.timestamp("s"))})
    assert kept_by_pandas(table).equals(table)

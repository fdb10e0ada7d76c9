"""Parquet files by path: names that pyarrow would take for addresses or columns."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from simtrain.parquet import read_schema, read_table, write_table

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

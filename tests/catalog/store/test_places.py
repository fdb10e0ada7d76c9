"""Where pictures and files of a catalogue lie, against a loop over rows."""

import pickle
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from simtrain.catalog.store.layout import FACTS
from simtrain.catalog.store.places import SourcePaths, noted, record_rows, stored_places
from simtrain.catalog.table import Catalog


def catalog(folder: Path, paths: list[str], hashes: list[str]) -> Catalog:
    return Catalog(rows=pd.DataFrame({"path": paths, "sha256": hashes}), root=folder, folder=folder)


def record(**columns: list[object]) -> pa.Table:
    count = len(columns["path"])
    return pa.Table.from_pydict({name: columns.get(name, [None] * count) for name in FACTS.names}, schema=FACTS)


def test_paths_are_made_by_row_slice_and_in_order_also_in_another_process(tmp_path: Path) -> None:
    names = ["b/1.jpg", "a.jpg", "ü/3.jpg"]
    paths = pickle.loads(pickle.dumps(SourcePaths(catalog(tmp_path, names, ["x"] * 3))))
    expected = [tmp_path / name for name in names]
    assert (len(paths), list(paths), paths[1:], paths[-1]) == (3, expected, expected[1:], expected[-1])
    with pytest.raises(IndexError):
        paths[3]


def test_rows_lie_where_the_record_says_of_files_of_the_same_content(tmp_path: Path) -> None:
    table = record(
        path=["a", "b", "c", "d"],
        sha256=["1", "2", "other", "4"],
        shard=["y.raw", "x.raw", "x.raw", None],
        offset=[10, 20, 30, None],
        length=[11, 21, 31, None],
        stored_width=[12, 22, 32, None],
        stored_height=[13, 23, 33, None],
        crc32=[14, 24, 34, None],
    )
    places = stored_places(catalog(tmp_path, ["d", "missing", "b", "c", "a"], ["4", "5", "2", "3", "1"]), table)
    assert places.names == ["x.raw", "y.raw"]
    found = np.stack([places.shard, places.offset, places.length, places.width, places.height, places.crc32], axis=1)
    nowhere = [-1, 0, 0, 0, 0, 0]
    assert found.tolist() == [nowhere, nowhere, [0, 20, 21, 22, 23, 24], nowhere, [1, 10, 11, 12, 13, 14]]


def test_a_stored_picture_without_its_offset_is_damage(tmp_path: Path) -> None:
    table = record(path=["a"], sha256=["1"], shard=["x.raw"])
    with pytest.raises(ValueError, match="column offset lacks a stored picture's"):
        stored_places(catalog(tmp_path, ["a"], ["1"]), table)


def test_numbers_are_minus_one_where_nothing_is_noted(tmp_path: Path) -> None:
    table = record(path=["a", "b"], size=[7, None])
    rows = record_rows(catalog(tmp_path, ["b", "a", "c"], ["1"] * 3), table)
    assert noted(table, "size", rows).tolist() == [-1, 7, -1]

"""The catalogue's file: what is written is what is read, whole or not at all."""

import shlex
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from simtrain.catalog.table import CATALOG_FILE, Catalog, read_catalog, write_catalog
from simtrain.errors import CatalogError


def small_catalog(folder: Path, root: Path) -> Catalog:
    rows = pd.DataFrame(
        {
            "id": ["a", "b", "c"],
            "path": ["x/a.png", "x/b.png", "کفش/c.png"],
            "split": ["train", "test", "train"],
            "product": ["p", "p", None],
            "label": pd.Series([None, None, None], dtype="str"),
            "caption": ["one", None, "three"],
            "query": [True, False, True],
            "gallery": [True, True, True],
            "width": pd.Series([1, 2, 3], dtype="int32"),
            "height": pd.Series([4, 5, 6], dtype="int32"),
            "sha256": ["0", "1", "2"],
            "duplicate_group": pd.Series([None, None, None], dtype="str"),
            "stock": pd.Series([1, None, 3], dtype="Int64"),
        }
    )
    return Catalog(rows=rows, root=root, folder=folder)


def test_comes_back_as_it_was_written(tmp_path: Path) -> None:
    catalog = small_catalog(tmp_path, tmp_path)
    assert write_catalog(catalog) == tmp_path / CATALOG_FILE
    pd.testing.assert_frame_equal(read_catalog(tmp_path).rows, catalog.rows)
    assert [path.name for path in tmp_path.iterdir()] == [CATALOG_FILE]


def test_root_inside_the_folder_moves_with_it(tmp_path: Path) -> None:
    (tmp_path / "old" / "source").mkdir(parents=True)
    write_catalog(small_catalog(tmp_path / "old", tmp_path / "old" / "source"))
    shutil.move(tmp_path / "old", tmp_path / "new")
    assert read_catalog(tmp_path / "new").image_path(0) == tmp_path / "new" / "source" / "x" / "a.png"


def test_root_elsewhere_stays_where_it_is(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "out").mkdir()
    write_catalog(small_catalog(tmp_path / "out", tmp_path / "images"))
    assert read_catalog(tmp_path / "out").image_path(2) == tmp_path / "images" / "کفش" / "c.png"
    (tmp_path / "images").rmdir()
    with pytest.raises(CatalogError, match="which is gone; run simtrain prepare again"):
        read_catalog(tmp_path / "out")


def test_failure_leaves_the_old_file(tmp_path: Path) -> None:
    catalog = small_catalog(tmp_path, tmp_path)
    write_catalog(catalog)
    before = (tmp_path / CATALOG_FILE).read_bytes()
    unwritable = Catalog(rows=pd.DataFrame({"id": ["a", 1, b"c"]}), root=tmp_path, folder=tmp_path)
    with pytest.raises(pa.ArrowException):
        write_catalog(unwritable)
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [(CATALOG_FILE, before)]


def test_rows_of_splits_and_groups(tmp_path: Path) -> None:
    catalog = small_catalog(tmp_path, tmp_path)
    np.testing.assert_array_equal(catalog.rows_of(["train"]), [0, 2])
    np.testing.assert_array_equal(catalog.rows_of(["val", "test"]), [1])
    first, second, third = catalog.groups(["product"])
    assert first == second >= 0
    assert third == -1
    with pytest.raises(CatalogError, match=r"catalog\.parquet: no column 'color'; it has id, path, split, product"):
        catalog.groups(["color"])


def test_what_is_no_catalogue_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match="no catalogue here; make one with: simtrain prepare SOURCE --out"):
        read_catalog(tmp_path)
    (tmp_path / CATALOG_FILE).write_text("path,label\n")
    with pytest.raises(CatalogError, match="not a Parquet file"):
        read_catalog(tmp_path)
    pq.write_table(pa.table({"id": ["a"]}), tmp_path / CATALOG_FILE)
    with pytest.raises(CatalogError, match="not a catalogue of simtrain prepare: no column path"):
        read_catalog(tmp_path)


def test_the_command_that_makes_a_catalogue_can_be_typed(tmp_path: Path) -> None:
    with pytest.raises(CatalogError) as told:
        read_catalog(tmp_path / "Shop #2")
    command = str(told.value).partition("make one with: ")[2]
    assert shlex.split(command) == ["simtrain", "prepare", "SOURCE", "--out", str(tmp_path / "Shop #2")]


@pytest.mark.parametrize(
    ("column", "values", "told"),
    [
        ("id", ["a", "b", "a"], "ValueError: column id holds a value twice"),
        ("path", [None, "b", "c"], "ValueError: column path holds more than text"),
        ("split", ["train", "elsewhere", "val"], "ValueError: column split holds more than train, val, test"),
        ("query", ["yes", "no", "no"], "ValueError: column query holds more than true and false"),
        ("product", [["x"], ["y"], ["z"]], "ArrowNotImplementedError: Unsupported cast from list<element: string> to "),
    ],
)
def test_values_that_prepare_does_not_write_are_named(
    tmp_path: Path, column: str, values: list[object], told: str
) -> None:
    path = write_catalog(small_catalog(tmp_path, tmp_path))
    table = pq.read_table(path)
    place = table.column_names.index(column)
    pq.write_table(table.set_column(place, column, pa.array(values)), path)
    with pytest.raises(CatalogError) as caught:
        read_catalog(tmp_path)
    assert str(caught.value).startswith(f"{path}: damaged: {told}")
    assert str(caught.value).endswith("; run simtrain prepare again")


@pytest.mark.parametrize("note", [b"[]", b"{}", b"no json", b"[" * 50_000])
def test_note_that_is_damaged_is_named(tmp_path: Path, note: bytes) -> None:
    path = write_catalog(small_catalog(tmp_path, tmp_path))
    table = pq.read_table(path)
    pq.write_table(table.replace_schema_metadata({**table.schema.metadata, b"simtrain": note}), path)
    with pytest.raises(CatalogError, match=r"catalog\.parquet: damaged: "):
        read_catalog(tmp_path)

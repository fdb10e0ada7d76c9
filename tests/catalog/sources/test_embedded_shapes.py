"""Pictures inside Parquet in lists and structs, beside broken values, in shards and folders that differ."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from small_embedded import IMAGE, cells, extract, picture, refused, write
from small_shops import run

from simtrain.catalog.sources.embedded import embedded_files, extract_embedded
from simtrain.catalog.sources.embedded_columns import embedded_columns
from simtrain.catalog.sources.embedded_layout import split_of_file
from simtrain.console import SILENT
from simtrain.errors import CatalogError


def lists(*contents: list[bytes]) -> pa.Array:
    cells_of = [[{"bytes": content, "path": None} for content in row] for row in contents]
    return pa.array(cells_of, type=pa.list_(IMAGE))


def test_each_picture_of_a_list_is_a_row_and_shares_its_rows_values(tmp_path: Path) -> None:
    columns = {"pictures": lists([picture(0), picture(1)], [], [picture(2)]), "sku": pa.array(["a", "b", "c"])}
    table = extract(write(tmp_path / "train-0.parquet", columns))
    assert table["sku"].to_pylist() == ["a", "a", "b", "c"]
    assert table["source_row"].to_pylist() == [0, 0, 1, 2]
    written = [(tmp_path / "out" / path).read_bytes() for path in table["path"].to_pylist()]
    assert written == [picture(0), picture(1), b"", picture(2)]


def test_lists_of_bytes_over_several_batches(tmp_path: Path) -> None:
    rows = [[picture(row), picture(row + 100)] for row in range(40)]
    table = extract(write(tmp_path / "0.parquet", {"shots": pa.array(rows, type=pa.list_(pa.binary()))}))
    assert table["source_row"].to_pylist() == [row for row in range(40) for _ in range(2)]
    assert (tmp_path / "out" / table["path"][79].as_py()).read_bytes() == picture(139)


def test_pictures_within_a_struct(tmp_path: Path) -> None:
    kind = pa.struct([("front", IMAGE), ("views", pa.list_(IMAGE)), ("note", pa.string())])
    one = {"bytes": picture(0), "path": "f.png"}
    column = pa.array([{"front": one, "views": [one, one], "note": "x"}], type=kind)
    file = write(tmp_path / "0.parquet", {"images": column, "sku": pa.array(["a"])})
    assert embedded_columns(file) == ["images.front", "images.views"]
    table = extract(file, image_column="images.front")
    assert table.to_pylist() == [
        {"path": "images/all/00000000.png", "source_path": "f.png", "images.note": "x", "sku": "a"}
    ]
    assert extract(file, image_column="images.views").num_rows == 2


def test_one_broken_value_does_not_decide_what_a_column_is(tmp_path: Path) -> None:
    contents = [b"", b"<html>404</html>", picture(1, "AVIF"), picture(2)]
    file = write(tmp_path / "0.parquet", {"image": pa.array(contents)})
    assert embedded_columns(file) == ["image"]
    empty = write(tmp_path / "empty.parquet", {"image": pa.array([b""] * 70 + [picture(0)])})
    assert embedded_columns(empty) == ["image"]
    suffixes = [path.rpartition(".")[2] for path in extract(file)["path"].to_pylist()]
    assert suffixes == ["bin", "bin", "avif", "png"]


def test_shards_of_types_that_one_type_holds_are_united(tmp_path: Path) -> None:
    parts = [
        {"label": pa.array(["mug"]).dictionary_encode(), "n": pa.array([1], type=pa.int32())},
        {"label": pa.nulls(1), "n": pa.array([2**40])},
        {"label": pa.array(["hat"], type=pa.large_string()), "more": pa.array([True])},
    ]
    files = [
        write(tmp_path / f"train-{number}.parquet", {"image": cells(picture(number)), **part})
        for number, part in enumerate(parts)
    ]
    table = extract(*files)
    assert table["label"].to_pylist() == ["mug", None, "hat"]
    assert table["n"].to_pylist() == [1, 2**40, None]
    assert table["more"].to_pylist() == [None, None, True]


def test_folders_tell_the_split_of_files_below(tmp_path: Path) -> None:
    for split in ("train", "validation"):
        write(tmp_path / "default" / split / "0000.parquet", {"image": cells(picture(len(split)))})
    found = embedded_files(tmp_path, ["default/validation/0000.parquet", "default/train/0000.parquet"])
    table = pq.read_table(extract_embedded(found, tmp_path / "out", image_column=None, console=SILENT))
    assert table["split"].to_pylist() == ["train", "val"]
    (alone,) = embedded_files(tmp_path / "default" / "train", ["0000.parquet"]).files
    assert extract(alone)["split"].to_pylist() == ["train"]


def test_words_within_a_files_name_tell_the_split(tmp_path: Path) -> None:
    names = (
        "shop-train-0.parquet",
        "shop.test.0.parquet",
        "train-test-0.parquet",
        "shop-0.parquet",
        "x-train-test.parquet",
    )
    files = [write(tmp_path / name, {"image": cells(picture(0))}) for name in names]
    assert [split_of_file(file, tmp_path) for file in files] == ["train", "test", "train", None, None]


def test_pictures_of_another_shape_are_refused_with_the_columns(tmp_path: Path) -> None:
    deep = pa.array([[[picture(0)]]], type=pa.list_(pa.list_(pa.binary())))
    write(tmp_path / "src" / "t.parquet", {"photos": deep, "sku": pa.array(["a"])})
    with pytest.raises(CatalogError) as told:
        run(tmp_path / "src", tmp_path / "out")
    assert str(told.value) == (
        f"{tmp_path / 'src' / 't.parquet'}: no column holds pictures that are known (bytes of an image file, or "
        "structs or lists of them); it has photos (list<element: list<element: binary>>), sku (string)"
    )


def test_pictures_of_columns_that_are_not_chosen_are_told(tmp_path: Path) -> None:
    shots = {name: cells(*(picture(row + len(name)) for row in range(9))) for name in ("front", "back", "sole")}
    write(tmp_path / "src" / "t.parquet", shots)
    report = run(tmp_path / "src", tmp_path / "out", "columns.path=front")
    told = [finding["message"] for finding in report.findings if finding["kind"] == "pictures_not_read"]
    assert told == ["not read: the pictures of 'back' and 'sole'; only those of 'front' are (columns.path)"]


def test_pointers_of_git_lfs_are_named(tmp_path: Path) -> None:
    file = tmp_path / "train-0.parquet"
    file.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 5\n")
    assert refused(file) == f"{file}: is a pointer of git-lfs, not the data; run: git lfs pull"
    assert embedded_files(tmp_path, ["train-0.parquet"]).problems == [
        ("train-0.parquet", "is a pointer of git-lfs, not the data; run: git lfs pull")
    ]


def test_each_file_may_call_its_pictures_otherwise(tmp_path: Path) -> None:
    files = [write(tmp_path / f"{name}.parquet", {name: cells(picture(len(name)))}) for name in ("image", "img")]
    table = extract(*files)
    assert table.column_names == ["path", "source_path"]
    assert (tmp_path / "out" / table["path"][1].as_py()).read_bytes() == picture(3)


def test_pictures_of_a_row_without_a_product_are_told(tmp_path: Path) -> None:
    file = write(tmp_path / "0.parquet", {"shots": lists([picture(0), picture(1)], [picture(2)])})
    (finding,) = [one for one in run(file, tmp_path / "out").findings if one["kind"] == "several_pictures"]
    assert finding["message"] == (
        "2 rows hold 3 pictures; if the pictures of a row show one product: --set columns.product=source_row"
    )
    rows = run(file, tmp_path / "out", "columns.product=source_row").catalog.rows
    assert rows["product"].tolist() == ["0", "0", "1"]

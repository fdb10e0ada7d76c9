"""Pictures inside Parquet: files as `datasets` writes them, and their oddities."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from recording_console import RecordingConsole
from small_embedded import FEATURES, IMAGE, cells, extract, found_in, of, picture, refused, shard, write
from small_tables import table_settings

from simtrain.catalog.sources.embedded import embedded_files, extract_embedded
from simtrain.catalog.sources.embedded_columns import embedded_columns
from simtrain.catalog.sources.embedded_layout import layout_of
from simtrain.catalog.sources.table_source import read_table_source
from simtrain.console import SILENT


def test_shards_become_pictures_and_one_table(tmp_path: Path) -> None:
    files = [
        shard(tmp_path / "test-00000-of-00001.parquet", range(3)),
        shard(tmp_path / "train-00000-of-00002.parquet", range(10, 110)),
        shard(tmp_path / "train-00001-of-00002.parquet", range(200, 205)),
        shard(tmp_path / "validation-00000-of-00001.parquet", range(300, 302)),
    ]
    table = extract(*files)
    seeds = [*range(3), *range(10, 110), *range(200, 205), *range(300, 302)]
    splits = ["test"] * 3 + ["train"] * 105 + ["val"] * 2
    assert table.column_names == ["path", "split", "source_path", "label", "seed"]
    assert table["path"].to_pylist() == [f"images/{split}/{row:08d}.png" for row, split in enumerate(splits)]
    assert table["split"].to_pylist() == splits
    assert table["label"].to_pylist() == [("mug", "کفش")[seed % 2] for seed in seeds]
    assert table["seed"].to_pylist() == seeds
    assert set(table["source_path"].to_pylist()) == {"../../x.png"}
    written = [(tmp_path / "out" / path).read_bytes() for path in table["path"].to_pylist()]
    assert written == [picture(seed) for seed in seeds]


def test_table_is_a_source(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    files = of(shard(tmp_path / "train-0.parquet", range(3)))
    source = read_table_source(
        extract_embedded(files, folder, image_column=None, console=SILENT), settings=table_settings()
    )
    assert source.root == folder.resolve()
    assert source.findings == []
    assert source.rows["label"].tolist() == ["mug", "کفش", "mug"]
    assert source.rows["split"].tolist() == ["train"] * 3
    assert sorted(path.name for path in folder.iterdir()) == ["images", "rows.parquet"]


def test_same_files_give_the_same_bytes(tmp_path: Path) -> None:
    file = shard(tmp_path / "train-0.parquet", range(50))
    written = []
    for out in (tmp_path / "one", tmp_path / "two"):
        extract_embedded(of(file), out, image_column=None, console=SILENT)
        written.append({path.relative_to(out): path.read_bytes() for path in out.rglob("*") if path.is_file()})
    assert written[0] == written[1]
    assert len(written[0]) == 51


def test_progress_hears_of_every_row(tmp_path: Path) -> None:
    console = RecordingConsole()
    files = [shard(tmp_path / f"{number}.parquet", range(40)) for number in range(2)]
    extract_embedded(of(*files), tmp_path / "out", image_column=None, console=console)
    assert console.bars == [("extracting images", 80, 80)]


@pytest.mark.parametrize(
    ("kind", "suffix"),
    [("JPEG", "jpg"), ("PNG", "png"), ("GIF", "gif"), ("WEBP", "webp"), ("BMP", "bmp"), ("TIFF", "tif")],
)
def test_bytes_alone_are_recognised_and_named_by_what_they_are(tmp_path: Path, kind: str, suffix: str) -> None:
    columns = {"photo": pa.array([None, picture(0, kind)], type=pa.large_binary()), "hash": pa.array([b"MM", b"II"])}
    file = write(tmp_path / "a.parquet", columns)
    assert embedded_columns(file) == ["photo"]
    table = extract(file)
    assert table.column_names == ["path", "hash"]
    assert table["path"].to_pylist() == ["images/all/00000000.bin", f"images/all/00000001.{suffix}"]
    assert (tmp_path / "out" / "images" / "all" / f"00000001.{suffix}").read_bytes() == picture(0, kind)


def test_other_bytes_and_sounds_are_no_pictures(tmp_path: Path) -> None:
    columns = {"sound": cells(b"RIFF1234WAVE"), "key": pa.array([b"BMxy"]), "empty": pa.array([None], type=pa.binary())}
    file = write(tmp_path / "a.parquet", columns, features={"sound": {"_type": "Audio"}})
    assert embedded_columns(file) == []
    assert embedded_columns(write(tmp_path / "b.parquet", {"photo": pa.array([], type=pa.binary())})) == []
    assert refused(file) == f"{file}: no column holds pictures; it has sound, key, empty"


def test_null_bytes_take_the_file_beside_them(tmp_path: Path) -> None:
    (tmp_path / "in" / "more").mkdir(parents=True)
    (tmp_path / "in" / "more" / "a.jpeg").write_bytes(picture(5, "JPEG"))
    file = write(tmp_path / "in" / "a.parquet", {"image": cells(None, path="more/a.jpeg")})
    assert extract(file)["path"].to_pylist() == ["images/all/00000000.jpg"]
    assert (tmp_path / "in" / "out" / "images" / "all" / "00000000.jpg").read_bytes() == picture(5, "JPEG")


@pytest.mark.parametrize("stored", [None, "", "gone.jpg", "..", "../secret.png", "link.png", "/etc/hostname", "a\0b"])
def test_null_bytes_without_a_file_beside_them_leave_an_empty_one(tmp_path: Path, stored: str | None) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "secret.png").write_bytes(picture(0))
    (tmp_path / "in" / "link.png").symlink_to(tmp_path / "secret.png")
    table = extract(write(tmp_path / "in" / "a.parquet", {"image": cells(None, path=stored)}))
    assert table.to_pylist() == [{"path": "images/all/00000000.bin", "source_path": stored}]
    assert (tmp_path / "in" / "out" / "images" / "all" / "00000000.bin").read_bytes() == b""


def test_null_pictures_leave_an_empty_file(tmp_path: Path) -> None:
    column = pa.array([None, {"bytes": picture(0), "path": None}], type=IMAGE)
    table = extract(write(tmp_path / "a.parquet", {"image": column}))
    assert table["path"].to_pylist() == ["images/all/00000000.bin", "images/all/00000001.png"]


def test_several_columns_of_pictures_need_a_choice(tmp_path: Path) -> None:
    file = write(tmp_path / "a.parquet", {"front": cells(picture(0)), "back": cells(picture(1)), "n": pa.array([3])})
    assert embedded_columns(file) == ["front", "back"]
    assert refused(file) == f"{file}: several columns hold pictures; choose with columns.path=NAME: front, back"
    assert refused(file, image_column="n") == (
        f"{file}: columns.path: no column 'n' with pictures; there are: front, back"
    )
    table = extract(file, image_column="back")
    assert table.column_names == ["path", "source_path", "n"]
    assert (tmp_path / "out" / table["path"][0].as_py()).read_bytes() == picture(1)


def test_columns_whose_names_are_taken_are_kept_under_others(tmp_path: Path) -> None:
    columns = {"image": cells(picture(0), path="p"), "path": pa.array(["own"]), "source_path": pa.array(["two"])}
    row = extract(write(tmp_path / "train-0.parquet", {**columns, "split": pa.array(["test"])})).to_pylist()[0]
    assert row == {
        "path": "images/train/00000000.png",
        "source_path": "p",
        "source_source_path": "own",
        "source_source_source_path": "two",
        "split": "test",  # what a row says of itself counts
    }


def test_hidden_labels_are_null(tmp_path: Path) -> None:
    columns = {"image": cells(picture(0), picture(1), picture(2)), "label": pa.array([-1, None, 1])}
    table = extract(write(tmp_path / "a.parquet", columns, features=FEATURES))
    assert table["label"].to_pylist() == [None, None, "کفش"]


def test_class_without_a_name_is_told(tmp_path: Path) -> None:
    file = write(tmp_path / "a.parquet", {"image": cells(picture(0)), "label": pa.array([2])}, features=FEATURES)
    assert refused(file) == f"{file}: label: has a class 2, but names for 2"


def test_numbers_without_names_stay_numbers(tmp_path: Path) -> None:
    columns = {"image": cells(picture(0)), "label": pa.array([1]), "many": pa.array([[1.0, 2.0]])}
    assert extract(write(tmp_path / "a.parquet", columns)).to_pylist()[0]["label"] == 1


def test_a_column_of_numbers_in_one_file_and_text_in_another_becomes_text(tmp_path: Path) -> None:
    one = write(tmp_path / "0.parquet", {"image": cells(picture(0), picture(1)), "label": pa.array([1, None])})
    two = write(tmp_path / "1.parquet", {"image": cells(picture(2)), "label": pa.array(["x"]), "n": pa.array([1])})
    three = write(tmp_path / "2.parquet", {"image": cells(picture(3)), "label": pa.array([2.5]), "n": pa.array([2])})
    table = extract(one, two, three)
    assert table["label"].to_pylist() == ["1", None, "x", "2.5"]
    assert table["n"].to_pylist() == [None, None, 1, 2]
    assert layout_of(of(one, two, three), image_column=None).findings == [
        {
            "kind": "column_types_differ",
            "column": "label",
            "types": ["int64", "string", "double"],
            "message": "column 'label' is int64, string and double in different files; it was read as text",
        }
    ]


def test_names_of_classes_in_one_file_and_their_numbers_in_another_are_names(tmp_path: Path) -> None:
    one = write(tmp_path / "0.parquet", {"image": cells(picture(0)), "label": pa.array([1])}, features=FEATURES)
    two = write(tmp_path / "1.parquet", {"image": cells(picture(1)), "label": pa.array(["mug"])})
    assert extract(one, two)["label"].to_pylist() == ["کفش", "mug"]
    assert layout_of(of(one, two), image_column=None).findings == []


def test_a_column_of_lists_in_one_file_and_text_in_another_is_refused(tmp_path: Path) -> None:
    one = write(tmp_path / "0.parquet", {"image": cells(picture(0)), "tags": pa.array(["x"])})
    two = write(tmp_path / "1.parquet", {"image": cells(picture(1)), "tags": pa.array([["x", "y"]])})
    told = refused(one, two)
    assert told.startswith(f"{two}: column 'tags' is list<")
    assert told.endswith(f"string>, but string in {one}; give it one type")


def test_columns_of_one_name_are_told_apart(tmp_path: Path) -> None:
    names = ["image", "label", "label", "raw", "raw"]
    arrays = [cells(picture(0)), pa.array(["mug"]), pa.array([7]), pa.array([b"x"]), pa.array([picture(1)])]
    path = tmp_path / "0.parquet"
    pq.write_table(pa.Table.from_arrays(arrays, names=names), path)
    assert embedded_columns(path) == ["image", "raw_2"]
    assert extract(path, image_column="image").to_pylist()[0].items() >= {"label": "mug", "label_2": 7}.items()
    assert layout_of(of(path), image_column="image").findings == [
        {
            "kind": "columns_repeated",
            "message": "0.parquet: the column 'label' stands 2 times: the first is used, the other is kept as "
            "'label_2'; the column 'raw' stands 2 times: the first is used, the other is kept as 'raw_2'",
        }
    ]


def test_bytes_beside_a_picture_in_a_struct_are_looked_at_too(tmp_path: Path) -> None:
    image = {"bytes": picture(0), "path": None}
    kind = pa.struct([("front", IMAGE), ("raw", pa.binary())])
    path = write(tmp_path / "0.parquet", {"shown": pa.array([{"front": image, "raw": picture(1)}], type=kind)})
    assert embedded_columns(path) == ["shown.front", "shown.raw"]


def test_files_of_a_folder_are_found(tmp_path: Path) -> None:
    assert found_in(tmp_path) == []
    write(tmp_path / "plain.parquet", {"label": pa.array([1])})
    (tmp_path / "broken.parquet").write_bytes(b"PAR1")
    assert found_in(tmp_path) == []
    names = ("data/test-0.parquet", "data/train-0.parquet", "deep/er/train-0.parquet", "train.parquet")
    files = [shard(tmp_path / name, [0]) for name in names]
    assert found_in(tmp_path) == files


def test_broken_shard_among_others_is_told(tmp_path: Path) -> None:
    whole = shard(tmp_path / "train-0.parquet", range(3))
    (tmp_path / "train-1.parquet").write_bytes(whole.read_bytes()[:-20])
    found = embedded_files(tmp_path, ["train-0.parquet", "train-1.parquet"])
    assert found.files == [whole]
    ((path, reason),) = found.problems
    assert path == "train-1.parquet"
    assert reason.startswith("cannot be read as Parquet: ")


def test_damage_inside_a_shard_is_told(tmp_path: Path) -> None:
    file = shard(tmp_path / "train-0.parquet", range(100))
    content = bytearray(file.read_bytes())
    content[4:400] = bytes(396)
    file.write_bytes(content)
    assert refused(file).startswith(f"{file}: cannot be read as Parquet: ")

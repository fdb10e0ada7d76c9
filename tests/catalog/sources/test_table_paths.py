"""Paths of a table and the files that they mean."""

import unicodedata
from pathlib import Path
from typing import Any

import pytest
from small_tables import table_settings

from simtrain.catalog.sources import Source, read_table_source
from simtrain.errors import CatalogError


def touch(root: Path, *paths: str) -> Path:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(b"")
    return root


def source(root: Path, *paths: str, anywhere: bool = False, start: Path | None = None, **columns: Any) -> Source:
    (root / "t.csv").write_text("path\n" + "\n".join(f'"{path}"' for path in paths), encoding="utf-8")
    return read_table_source(root / "t.csv", settings=table_settings(columns, root=start, anywhere=anywhere))


def paths(found: Source) -> list[str]:
    return [str(path) for path in found.rows["path"]]


OTHERWISE = "spelling (blanks, case, Unicode form, letters of one shape, suffix)"


@pytest.mark.parametrize(
    ("file", "text", "how"),
    [
        ("mug/a.jpg", " mug/a.jpg ", "blanks"),
        ("mug/a.jpg", "mug /a.jpg", "blanks"),
        ("Mug/A.JPG", "mug/a.jpg", "upper and lower case"),
        (unicodedata.normalize("NFD", "Café/é.jpg"), "Café/é.jpg", "the Unicode form of letters"),
        ("Café/é.jpg", unicodedata.normalize("NFD", "Café/é.jpg"), "the Unicode form of letters"),
        ("mug/1163.jpg", "mug/1163", "the suffix"),
        ("mug/a.webp", "mug/a.jpeg", "the suffix"),
        ("two words.jpg", "two%20words.jpg", OTHERWISE),
        ("a.jpg", "'a.jpg'", OTHERWISE),
        ("m&m.jpg", "m&amp;m.jpg", OTHERWISE),
        ("a-b.jpg", "a\u2013b.jpg", OTHERWISE),
        ("\u06cc.jpg", "\u064a.jpg", OTHERWISE),
        ("mug/a.jpg", "\u200fmug/a.jpg", OTHERWISE),
        ("mug/a.jpg", "mug/a.jpg?v=3", "the suffix"),
    ],
)
def test_details_that_nobody_sees(tmp_path: Path, file: str, text: str, how: str) -> None:
    found = source(touch(tmp_path, file, "other.jpg"), "other.jpg", text)
    assert paths(found) == ["other.jpg", file]
    (finding,) = found.findings
    assert (finding["kind"], finding["rows"]) == ("paths_mended", [2])
    assert f"({how} 1)" in finding["message"]


def test_two_files_that_it_might_be_are_not_chosen_from(tmp_path: Path) -> None:
    found = source(touch(tmp_path, "A.jpg", "a.JPG", "b.jpg"), "a.jpg", "b.jpg")
    assert paths(found) == ["a.jpg", "b.jpg"]


def test_a_file_of_another_row_is_not_taken(tmp_path: Path) -> None:
    found = source(touch(tmp_path, "a.png", "b.jpg"), "a.png", "a.jpg", "b.jpg", "/mnt/old/b.jpg")
    assert paths(found) == ["a.png", "a.jpg", "b.jpg"]
    assert [(finding["kind"], finding["rows"]) for finding in found.findings if "rows" in finding] == [
        ("rows_left_out", [4])
    ]


def test_the_folder_that_paths_start_from_is_named(tmp_path: Path) -> None:
    touch(tmp_path, "pics/x/0.jpg", "pics/x/1.jpg")
    with pytest.raises(CatalogError) as told:
        source(tmp_path, "x/0.jpg", "x/1.jpg")
    assert str(told.value) == (
        f"{tmp_path / 't.csv'}: none of its 2 images is there; looked in {tmp_path} for 'x/0.jpg'; files of their "
        "names "
        f"lie below another folder: --set root={tmp_path / 'pics'}"
    )


def test_a_root_that_is_too_deep_is_named(tmp_path: Path) -> None:
    touch(tmp_path, "pics/x/0.jpg")
    with pytest.raises(CatalogError, match=rf"--set root={tmp_path}$"):
        source(tmp_path, "pics/x/0.jpg", start=tmp_path / "pics")


def test_few_that_lie_elsewhere_are_told(tmp_path: Path) -> None:
    found = source(touch(tmp_path, "0.jpg", "1.jpg", "moved/2.jpg"), "0.jpg", "1.jpg", "2.jpg")
    (finding,) = found.findings
    assert (finding["kind"], finding["paths"]) == ("paths_not_found", ["2.jpg"])
    assert finding["message"].endswith(f"lie below another folder: --set root={tmp_path / 'moved'}")


def test_file_addresses_are_paths(tmp_path: Path) -> None:
    touch(tmp_path, "a b.jpg", "c.jpg")
    found = source(tmp_path, (tmp_path / "a b.jpg").as_uri(), f"file:{tmp_path}/c.jpg")
    assert (paths(found), found.findings) == (["a b.jpg", "c.jpg"], [])


@pytest.mark.parametrize(
    "text",
    [
        "https://shop.com/img/0.jpg?v=2",
        "C:\\\\shop\\\\mug\\\\0.jpg",
        "D:/0.jpg",
        "/mnt/old/mug/0.jpg",
        "\\\\\\\\nas\\\\mug\\\\0.jpg",
    ],
)
def test_paths_of_another_machine_whose_ends_are_files_here(tmp_path: Path, text: str) -> None:
    found = source(touch(tmp_path, "mug/0.jpg"), text.replace("\\\\", "\\"))
    assert paths(found) == ["mug/0.jpg"]
    assert [finding["kind"] for finding in found.findings] == ["paths_mended"]


def test_a_drive_is_named_as_such(tmp_path: Path) -> None:
    with pytest.raises(CatalogError) as told:
        source(tmp_path, "C:\\shop\\0.jpg")
    assert str(told.value).endswith(
        "row 1: path: 'C:\\shop\\0.jpg' is a path of Windows with a drive; give the folder that the files are in now: "
        "--set root=FOLDER, which takes the place of 'C:/shop'"
    )


def test_rows_without_a_usable_path_are_left_out_and_counted(tmp_path: Path) -> None:
    touch(tmp_path, *(f"{row}.jpg" for row in range(4)))
    cells = ["0.jpg", "", "1.jpg", "https://shop.com/2.jpg", "2.jpg", "   ", "3.jpg"]
    (tmp_path / "t.csv").write_text("path,n\n" + "".join(f"{cell},1\n" for cell in cells) + ",\n")
    found = read_table_source(tmp_path / "t.csv", settings=table_settings())
    assert paths(found) == ["0.jpg", "1.jpg", "2.jpg", "3.jpg"]
    assert [finding["rows"] for finding in found.findings] == [[2, 6], [4]]
    assert found.findings[0]["message"] == "t.csv: 2 rows without path left out, the first: row 2"


def test_links_into_a_store_are_paths_inside(tmp_path: Path) -> None:
    touch(tmp_path, "store/ab12")
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "a.jpg").symlink_to(tmp_path / "store" / "ab12")
    assert paths(source(tmp_path / "shop", "a.jpg")) == ["a.jpg"]


def test_names_anywhere_below(tmp_path: Path) -> None:
    touch(tmp_path, "train_images/1.jpg", "test_images/2.jpg", "test_images/3.jpg", "train_images/3.jpg")
    found = source(tmp_path, "1", "2.jpg", "test_images/3.jpg", anywhere=True)
    assert paths(found) == ["train_images/1.jpg", "test_images/2.jpg", "test_images/3.jpg"]


def test_rows_that_say_the_same_are_one(tmp_path: Path) -> None:
    touch(tmp_path, "a.jpg", "b.jpg")
    (tmp_path / "t.csv").write_text("path,product\na.jpg,1\nb.jpg,2\na.jpg,1\n")
    found = read_table_source(tmp_path / "t.csv", settings=table_settings())
    assert paths(found) == ["a.jpg", "b.jpg"]
    assert [finding["rows"] for finding in found.findings] == [[3]]
    (tmp_path / "t.csv").write_text("path,product\na.jpg,1\nb.jpg,2\na.jpg,3\n")
    with pytest.raises(CatalogError, match=r"rows 1 and 3 have the same path 'a\.jpg'"):
        read_table_source(tmp_path / "t.csv", settings=table_settings())

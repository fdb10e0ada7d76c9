"""Folders and the naming of sources: what becomes of them, and what is refused in which words."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from simtrain.catalog.sources import PARTS, Source, read_folder
from simtrain.catalog.sources.walk import list_folder
from simtrain.errors import CatalogError


def touch(root: Path, *paths: str) -> Path:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(b"")
    return root


def folder(root: Path, *, levels: list[str] | None = None, pattern: str | None = None, output: str = "out") -> Source:
    listing = list_folder(root, output=root / output, follow_links=False)
    return read_folder(listing, levels=levels, product_pattern=pattern)


def values(source: Source, column: str) -> list[Any]:
    return [None if pd.isna(value) else value for value in source.rows[column].tolist()]


def test_class_folders_are_labels(tmp_path: Path) -> None:
    source = folder(touch(tmp_path, "mugs/b.jpg", "mugs/a.JPG", "shoes/boots/c.WebP", "loose.png", "mugs/notes.txt"))
    assert values(source, "path") == ["loose.png", "mugs/a.JPG", "mugs/b.jpg", "shoes/boots/c.WebP"]
    assert values(source, "label") == [None, "mugs", "mugs", "shoes/boots"]
    assert values(source, "id") == values(source, "path")
    assert values(source, "split") == values(source, "product") == values(source, "caption") == [None] * 4
    assert values(source, "query") == values(source, "gallery") == [True] * 4
    assert list(source.rows.columns) == list(PARTS)
    (finding,) = source.findings
    assert (finding["kind"], finding["suffixes"], finding["examples"]) == (
        "other_files",
        {".txt": 1},
        ["mugs/notes.txt"],
    )


def test_flat_folder_has_no_labels(tmp_path: Path) -> None:
    assert values(folder(touch(tmp_path, "b.jpg", "a.jpg")), "label") == [None, None]


def test_persian_letters_and_spaces(tmp_path: Path) -> None:
    source = folder(touch(tmp_path, "کفش زنانه/عکس نو.jpg"))
    assert values(source, "label") == ["کفش زنانه"]
    assert values(source, "path") == ["کفش زنانه/عکس نو.jpg"]


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("train", "train"),
        ("TEST", "test"),
        ("Val", "val"),
        ("valid", "val"),
        ("Validation", "val"),
        ("Training", "train"),
    ],
)
def test_outermost_folder_can_be_the_split(tmp_path: Path, name: str, split: str) -> None:
    source = folder(touch(tmp_path, f"{name}/red/a.jpg", f"{name}/b.jpg"))
    assert values(source, "split") == [split, split]
    assert values(source, "label") == [None, "red"]


def test_inner_folder_named_like_a_split_is_a_label(tmp_path: Path) -> None:
    source = folder(touch(tmp_path, "toys/train/a.jpg"))
    assert (values(source, "split"), values(source, "label")) == ([None], ["toys/train"])


def test_split_folder_beside_labels_is_a_finding(tmp_path: Path) -> None:
    source = folder(touch(tmp_path, "bus/a.jpg", "train/b.jpg"))
    assert values(source, "split") == [None, "train"]
    (finding,) = source.findings
    assert (finding["kind"], finding["split_folders"]) == ("images_outside_split_folders", ["train"])
    assert (finding["images"], finding["examples"]) == (1, ["bus/a.jpg"])
    as_labels = folder(tmp_path, levels=["label"])
    assert values(as_labels, "label") == ["bus", "train"]
    assert as_labels.findings == []


def test_levels_name_the_folders(tmp_path: Path) -> None:
    root = touch(tmp_path, "test/acme/mug/7/a.jpg", "Dev/umbra/vase/00123/b.jpg")
    source = folder(root, levels=["split", "brand", "label", "product"])
    assert values(source, "split") == ["val", "test"]
    assert values(source, "brand") == ["umbra", "acme"]
    assert values(source, "label") == ["vase", "mug"]
    assert values(source, "product") == ["00123", "7"]


def test_few_images_at_another_depth_are_left_out(tmp_path: Path) -> None:
    source = folder(touch(tmp_path, "cover.jpg", *(f"mug/{row}.jpg" for row in range(4))), levels=["label"])
    assert values(source, "label") == ["mug"] * 4
    assert source.findings == [
        {"kind": "left_out", "path": "cover.jpg", "reason": "folder depth 0; levels [label] ask for 1"}
    ]


@pytest.mark.parametrize(
    ("levels", "expected"),
    [
        (["label", "product"], "DIR/mug/a.jpg: folder depth 1; levels [label, product] ask for 2"),
        (["sha256"], "levels [sha256]: a folder cannot give the column 'sha256'"),
        (["label", "label"], "levels [label, label]: 'label' stands twice"),
        (
            ["split"],
            "DIR/mug/a.jpg: 'mug' is no split; allowed: train, training, val, valid, validation, dev, test, testing",
        ),
        (["query"], "DIR/mug/a.jpg: 'mug' is neither true nor false; allowed: true, false, yes, no, 1, 0"),
    ],
)
def test_levels_that_do_not_fit(tmp_path: Path, levels: list[str], expected: str) -> None:
    with pytest.raises(CatalogError) as caught:
        folder(touch(tmp_path, "mug/a.jpg"), levels=levels)
    assert str(caught.value).replace(str(tmp_path), "DIR") == expected


def test_product_from_the_path(tmp_path: Path) -> None:
    root = touch(tmp_path, *(f"mug/sku12_{view}.jpg" for view in range(4)), "mug/other.jpg")
    source = folder(root, pattern=r"([^/]+)_\d+\.jpg$")
    assert values(source, "product") == [None, "sku12", "sku12", "sku12", "sku12"]
    assert values(source, "label") == ["mug"] * 5


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("([a-z", "product_pattern '([a-z': not a regular expression: unterminated character set at position 1"),
        (
            "mug",
            "product_pattern 'mug': has 0 groups; put (round brackets) around the product and use (?:…) for anything "
            "else",
        ),
        ("(vase)", "product_pattern '(vase)': matches none of the 1 paths, such as 'mug/a.jpg'"),
    ],
)
def test_product_pattern_that_does_not_fit(tmp_path: Path, pattern: str, expected: str) -> None:
    with pytest.raises(CatalogError) as caught:
        folder(touch(tmp_path, "mug/a.jpg"), pattern=pattern)
    assert str(caught.value) == expected


def test_hidden_files_and_own_output_are_passed_over(tmp_path: Path) -> None:
    root = touch(tmp_path, "a.jpg", "._a.jpg", ".cache/b.jpg", "out/c.jpg", "mug/.thumbs/d.jpg")
    assert values(folder(root), "path") == ["a.jpg"]


def test_output_into_the_source_folder_itself_hides_nothing(tmp_path: Path) -> None:
    assert values(folder(touch(tmp_path, "mug/a.jpg"), output="."), "path") == ["mug/a.jpg"]


def test_links_do_not_lead_out(tmp_path: Path) -> None:
    root = touch(tmp_path / "root", "a.jpg")
    touch(tmp_path / "elsewhere", "secret.jpg")
    (root / "inside.jpg").symlink_to(root / "a.jpg")
    (root / "outside.jpg").symlink_to(tmp_path / "elsewhere" / "secret.jpg")
    (root / "nowhere.jpg").symlink_to(root / "gone.jpg")
    (root / "loop.jpg").symlink_to(root / "loop.jpg")
    (root / "more").symlink_to(tmp_path / "elsewhere")
    source = folder(root)
    assert values(source, "path") == ["a.jpg", "inside.jpg"]
    assert sorted(finding["path"] for finding in source.findings) == ["loop.jpg", "more", "nowhere.jpg", "outside.jpg"]
    assert {finding["kind"] for finding in source.findings} == {"left_out"}


def test_root_may_be_a_link(tmp_path: Path) -> None:
    touch(tmp_path / "real", "a.jpg")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert values(folder(tmp_path / "link"), "path") == ["a.jpg"]


def test_name_that_is_not_utf8_is_a_finding(tmp_path: Path) -> None:
    touch(tmp_path, "a.jpg", "caf\udce9.jpg")
    source = folder(tmp_path)
    assert values(source, "path") == ["a.jpg"]
    assert source.findings == [{"kind": "left_out", "path": r"caf\xe9.jpg", "reason": "its name is not UTF-8 text"}]


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ((), "it holds no other files"),
        (
            ("a.psd", "b/c.psd", "notes.txt", "LICENSE"),
            "pictures of kinds that are not read: 2 files (2 .psd), such as 'a.psd'; save them as JPEG or PNG; not "
            "looked "
            "at, as they are no pictures: 2 files (1 without a suffix, 1 .txt), such as 'LICENSE'",
        ),
        (
            ("images.zip",),
            "not looked at, as they are no pictures: 1 file (1 .zip), such as 'images.zip'; archives are not opened: "
            "unpack them",
        ),
    ],
)
def test_folder_without_images(tmp_path: Path, files: tuple[str, ...], expected: str) -> None:
    with pytest.raises(CatalogError) as caught:
        folder(touch(tmp_path, *files))
    looked_for = (
        "looked for .apng, .avif, .bmp, .dib, .gif, .j2k, .jfif, .jp2, .jpe, .jpeg, .jpg, .mpo, .pjpeg, .png, .ppm, "
        ".tif, "
        ".tiff, .webp"
    )
    assert str(caught.value) == f"{tmp_path}: no images in it or below it: {looked_for}; {expected}"

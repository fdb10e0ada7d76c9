"""What is found below a folder, and the account of everything else in it."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from simtrain.catalog.sources import walk
from simtrain.catalog.sources.walk import Listing, list_folder


def save(path: Path, kind: str = "PNG") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (4, 4), "red").save(path, kind)
    return path


def touch(root: Path, *paths: str) -> Path:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(b"x")
    return root


def listing(root: Path, *, follow_links: bool = True) -> Listing:
    return list_folder(root, output=root / "out", follow_links=follow_links)


def findings(found: Listing, kind: str) -> list[dict[str, Any]]:
    return [finding for finding in found.account() if finding["kind"] == kind]


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF", "AVIF", "JPEG2000", "MPO"])
@pytest.mark.parametrize("name", ["a", "a.jpg_large", "photo 12.5 cm", "a.jpg!w700"])
def test_files_whose_names_do_not_tell_are_taken_by_their_first_bytes(tmp_path: Path, kind: str, name: str) -> None:
    save(tmp_path / "mug" / name, kind)
    assert listing(tmp_path).images == [f"mug/{name}"]


def test_every_file_is_accounted_for(tmp_path: Path) -> None:
    save(tmp_path / "mug" / "a.png")
    touch(
        tmp_path, "mug/b.CR2", "mug/c.mp4", "LICENSE", "notes.txt", "t.csv", "mug/@eaDir/a.png/THUMB.jpg", ".DS_Store"
    )
    touch(tmp_path, "mug/half.jpg.part", "Thumbs.db")
    found = listing(tmp_path)
    assert found.images == ["mug/a.png"]
    (pictures,) = findings(found, "pictures_not_read")
    (others,) = findings(found, "other_files")
    (clutter,) = findings(found, "clutter")
    assert (pictures["files"], pictures["suffixes"]) == (2, {".cr2": 1, ".mp4": 1})
    assert (others["files"], others["suffixes"]) == (4, {"": 1, ".csv": 1, ".part": 1, ".txt": 1})
    assert (clutter["files"], clutter["names"]) == (3, {".": 1, "@eaDir": 1, "Thumbs.db": 1})
    inside = sum(len(names) for _, _, names in os.walk(tmp_path))
    assert inside == len(found.images) + pictures["files"] + others["files"] + clutter["files"]
    assert pictures["message"] == (
        "pictures of kinds that are not read: 2 files (1 .cr2, 1 .mp4), such as 'mug/b.CR2'; save them as JPEG or PNG"
    )


def test_heic_is_taken_where_it_can_be_read_and_told_where_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(tmp_path / "a.png")
    touch(tmp_path, "b.HEIC", "c.heif")
    (tmp_path / "d").write_bytes(b"\0\0\0\x18ftypheic" + bytes(20))
    assert listing(tmp_path).images == ["a.png", "b.HEIC", "c.heif", "d"]
    monkeypatch.setattr(walk, "reads_heif", lambda: False)
    found = listing(tmp_path)
    assert found.images == ["a.png"]
    (finding,) = findings(found, "pictures_not_read")
    assert finding["suffixes"] == {".heic": 2, ".heif": 1}
    assert finding["message"].endswith("such as 'b.HEIC'; pip install 'simtrain[heic]' makes simtrain read HEIC")


@pytest.mark.parametrize(
    "name",
    [
        "@eaDir",
        "#recycle",
        "$RECYCLE.BIN",
        "System Volume Information",
        ".thumbnails",
        "__MACOSX",
        "@Recycle",
        "lost+found",
        "@__thumb",
        "RECYCLED",
        "FOUND.000",
        "_vti_cnf",
        "thumbs",
        "_Thumbnails_200x200",
    ],
)
def test_what_other_programs_leave_is_no_picture_of_the_shop(tmp_path: Path, name: str) -> None:
    save(tmp_path / "mug" / "a.jpg", "JPEG")
    save(tmp_path / "mug" / name / "deep" / "a.jpg", "JPEG")
    found = listing(tmp_path)
    assert found.images == ["mug/a.jpg"]
    (finding,) = findings(found, "clutter")
    assert finding["files"] == 1


def test_thumbnails_beside_the_folder_of_their_pictures_are_none(tmp_path: Path) -> None:
    for path in ("images/a.png", "images/b.png", "thumbs/thumb_a.png", "thumbs/b-150x150.png", "thumbs/logo.png"):
        save(tmp_path / path)
    found = listing(tmp_path)
    assert (found.images, found.clutter) == (["images/a.png", "images/b.png"], {"thumbs": 3})


def test_a_folder_of_that_name_with_other_pictures_is_the_shops(tmp_path: Path) -> None:
    for path in ("mug/a.png", "thumbs/c.png", "thumbs/d.png", "thumbs/a.png"):
        save(tmp_path / path)
    assert len(listing(tmp_path).images) == 4


def test_folders_beyond_any_use_are_left_out(tmp_path: Path) -> None:
    save(tmp_path / "/".join(["a"] * 210) / "deep.png")
    (tmp_path / "long.png").symlink_to("x" * 300)
    save(tmp_path / "b.png")
    found = listing(tmp_path)
    assert found.images == ["b.png"]
    reasons = [finding["reason"] for finding in findings(found, "left_out")]
    assert reasons[0] == "lies more than 200 folders deep"
    assert len(reasons) == 2


def test_links_into_a_store_are_read(tmp_path: Path) -> None:
    save(tmp_path / "store" / "ab12")
    save(tmp_path / "elsewhere" / "deep" / "b.png")
    root = tmp_path / "shop"
    (root / "mug").mkdir(parents=True)
    (root / "mug" / "a.png").symlink_to("../../store/ab12")
    (root / "hat").symlink_to(tmp_path / "elsewhere")
    assert listing(root).images == ["hat/deep/b.png", "mug/a.png"]
    assert listing(root, follow_links=False).images == []


def test_links_that_lead_round_in_circles_or_nowhere_are_told(tmp_path: Path) -> None:
    root = tmp_path / "shop"
    save(root / "mug" / "a.png")
    (root / "again").symlink_to(root / "mug")
    (root / "mug" / "up").symlink_to(tmp_path)
    (root / "mug" / "b.png").symlink_to("../.git/annex/objects/b.png")
    found = listing(root)
    assert found.images == ["mug/a.png"]
    reasons = {finding["path"]: finding["reason"] for finding in findings(found, "left_out")}
    assert reasons == {
        "again": "is a link to a folder of the source itself, or around it",
        "mug/up": "is a link to a folder of the source itself, or around it",
        "mug/b.png": "is a link to '../.git/annex/objects/b.png', which is not there; fetch it (dvc pull, git annex "
        "get)",
    }


def test_a_folder_that_cannot_be_listed_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(tmp_path / "mug" / "a.png")
    (tmp_path / "locked").mkdir()
    scandir = os.scandir

    def refusing(folder: str) -> Iterator[os.DirEntry[str]]:
        if str(folder).endswith("locked"):
            raise PermissionError(13, "Permission denied", folder)
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", refusing)
    found = listing(tmp_path)
    assert found.images == ["mug/a.png"]
    assert findings(found, "left_out") == [
        {"kind": "left_out", "path": "locked", "reason": "the folder cannot be listed: Permission denied"}
    ]


def test_a_catalogue_in_the_source_folder_is_no_part_of_it(tmp_path: Path) -> None:
    save(tmp_path / "a.png")
    touch(tmp_path, "catalog.parquet", "findings.json", "images.raw/x.bin", ".prepare/lock")
    found = list_folder(tmp_path, output=tmp_path, follow_links=True)
    assert (found.images, found.account()) == (["a.png"], [])


def test_tables_and_texts_that_are_pipes_or_links_to_nowhere_are_not_waited_for(tmp_path: Path) -> None:
    save(tmp_path / "mug" / "a.png")
    for name in ("t.csv", "mug/a.txt", "rows.parquet"):
        os.mkfifo(tmp_path / name)
    (tmp_path / "metadata.jsonl").symlink_to("../.git/annex/objects/x.jsonl")
    found = listing(tmp_path)
    assert (found.images, found.tables, found.sidecars) == (["mug/a.png"], [], [])
    assert {finding["path"]: finding["reason"] for finding in findings(found, "left_out")} == {
        "metadata.jsonl": "is a link to '../.git/annex/objects/x.jsonl', which is not there; fetch it (dvc pull, git "
        "annex get)",
        "mug/a.txt": "is a pipe, a socket or a device",
        "rows.parquet": "is a pipe, a socket or a device",
        "t.csv": "is a pipe, a socket or a device",
    }

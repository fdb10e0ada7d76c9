"""Where pictures lie: found by the items' paths, never outside, and noted of one bundle alone."""

import json
from pathlib import Path, PurePosixPath

import pytest
from bundle_files import files_of

from simtrain.errors import BundleError
from simtrain.serving.picture_folders import PictureFolders, noted_folders, noting

OLD, NEW = "0" * 64, "1" * 64


@pytest.fixture
def shop(tmp_path: Path) -> PictureFolders:
    for name in ("a/chair/1.png", "b/chair/1.png", "secret.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    return PictureFolders(folders={"": tmp_path / "a", "b": tmp_path / "b"})


def test_the_first_part_of_a_path_names_its_folder(shop: PictureFolders, tmp_path: Path) -> None:
    assert shop.within("chair/1.png") == tmp_path / "a" / "chair" / "1.png"
    assert shop.within("b/chair/1.png") == tmp_path / "b" / "chair" / "1.png"
    assert shop.path_of("b") == tmp_path / "a" / "b"
    assert str(shop) == f"{tmp_path / 'a'}, {tmp_path / 'b'}"
    assert PictureFolders().path_of("chair/1.png") is None


@pytest.mark.parametrize("path", ["../secret.png", "b/../secret.png", "b/../../secret.png", "/secret.png", "\0", ""])
def test_nothing_outside_is_within(shop: PictureFolders, path: str) -> None:
    assert shop.within(path) is None


def test_a_source_is_found_again_or_gets_a_name(shop: PictureFolders, tmp_path: Path) -> None:
    assert shop.start_of(tmp_path / "a" / "chair", same_paths=False) == (PurePosixPath("chair"), shop)
    assert shop.start_of(tmp_path / "b", same_paths=False) == (PurePosixPath("b"), shop)
    start, more = shop.start_of(tmp_path / "other" / "b", same_paths=True)
    assert (start, more.path_of("b-2/x.png")) == (PurePosixPath("b-2"), tmp_path / "other" / "b" / "x.png")


def test_a_moved_bundle_takes_the_folder_of_its_catalogue(tmp_path: Path) -> None:
    nowhere = PictureFolders()
    assert nowhere.start_of(tmp_path, same_paths=True) == (PurePosixPath(), PictureFolders(folders={"": tmp_path}))
    start, _ = nowhere.start_of(tmp_path, same_paths=False)
    assert start == PurePosixPath(tmp_path.name)


def test_a_note_is_of_one_bundle_and_moves_with_its_surroundings(shop: PictureFolders, tmp_path: Path) -> None:
    with noting(tmp_path / "bundle", shop, old=None, new=NEW):
        pass
    assert noted_folders(tmp_path / "bundle", checksum=NEW) == shop
    assert noted_folders(tmp_path / "bundle", checksum=OLD) == PictureFolders()
    moved = tmp_path.rename(tmp_path.with_name(f"{tmp_path.name}-moved"))
    assert noted_folders(moved / "bundle", checksum=NEW).within("chair/1.png") == moved / "a" / "chair" / "1.png"
    moved.rename(tmp_path)
    with noting(tmp_path / "bundle", PictureFolders(), old=NEW, new=OLD):
        pass
    assert not (tmp_path / ".bundle.pictures.json").exists()


def test_both_bundles_are_noted_until_one_has_taken_the_place(shop: PictureFolders, tmp_path: Path) -> None:
    bundle, other = tmp_path / "bundle", PictureFolders(folders={"": tmp_path / "b"})
    with noting(bundle, shop, old=None, new=OLD):
        pass
    before = files_of(tmp_path)

    def refused() -> None:
        assert noted_folders(bundle, checksum=OLD) == shop  # what a kill here leaves
        assert noted_folders(bundle, checksum=NEW) == other
        raise OSError("no rename")

    with pytest.raises(OSError, match="no rename"), noting(bundle, other, old=OLD, new=NEW):
        refused()
    assert files_of(tmp_path) == before
    with noting(bundle, other, old=OLD, new=NEW):
        pass
    assert noted_folders(bundle, checksum=OLD) == PictureFolders()


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"bundles": [1]}', '{"bundles": [{"checksum": "1"}]}'])
def test_a_damaged_note_is_told_and_written_anew(shop: PictureFolders, tmp_path: Path, content: str) -> None:
    note = tmp_path / ".bundle.pictures.json"
    note.write_text(content)
    with pytest.raises(BundleError, match=r"\.bundle\.pictures\.json: (not JSON, or )?damaged"):
        noted_folders(tmp_path / "bundle", checksum=NEW)
    with noting(tmp_path / "bundle", shop, old=OLD, new=NEW):
        pass
    assert len(json.loads(note.read_text())["bundles"]) == 1

"""Pictures of items, and nothing else of the machine."""

import io
from pathlib import Path

import pytest
from PIL import Image

from simtrain.serving.app.pictures import picture_file, small_picture
from simtrain.serving.app.request_error import RequestError
from simtrain.serving.picture_folders import PictureFolders


def below(folder: Path) -> PictureFolders:
    return PictureFolders(folders={"": folder, "more": folder / "folder"})


def test_a_picture_below_its_folder(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "1.png").write_bytes(b"")
    (tmp_path / "folder" / "2.png").write_bytes(b"")
    assert picture_file("1.png", folders=below(tmp_path)) == (tmp_path / "1.png").resolve()
    assert picture_file("more/2.png", folders=below(tmp_path)) == (tmp_path / "folder" / "2.png").resolve()


def test_without_a_folder_nothing_is_found() -> None:
    with pytest.raises(RequestError, match="its picture is not here"):
        picture_file("1.png", folders=PictureFolders())


@pytest.mark.parametrize(
    "path",
    [
        "../secret.png",
        "a/../../secret.png",
        "/etc/passwd",
        "link.png",
        "folder",
        "nothing.png",
        "more/../link.png",
        "more",
        "more/x.png",
        "\0",
        "x" * 5000,
    ],
)
def test_nothing_beyond_the_folder_is_found(tmp_path: Path, path: str) -> None:
    images = tmp_path / "images"
    (images / "folder").mkdir(parents=True)
    Image.new("RGB", (9, 9)).save(tmp_path / "secret.png")
    (images / "link.png").symlink_to(tmp_path / "secret.png")
    with pytest.raises(RequestError, match="its picture is not here") as caught:
        picture_file(path, folders=below(images))
    assert caught.value.status == 404


def test_a_picture_is_made_small_and_keeps_nothing_else(tmp_path: Path) -> None:
    path, exif = tmp_path / "a.jpg", Image.Exif()
    exif[0x010E] = "a secret place"
    Image.new("RGB", (400, 200), "red").save(path, exif=exif)
    content = small_picture(path, side=100)
    assert b"secret" not in content
    with Image.open(io.BytesIO(content)) as image:
        assert (image.format, image.size) == ("JPEG", (100, 50))


def test_a_file_that_is_no_picture_is_not_shown(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_text("root:x:0:0")
    with pytest.raises(RequestError, match="its picture cannot be read"):
        small_picture(tmp_path / "a.png", side=100)

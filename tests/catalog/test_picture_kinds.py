"""What a file is by its first bytes."""

from io import BytesIO
from pathlib import Path

import numpy as np
import pillow_heif
import pytest
from PIL import Image

from simtrain.catalog import image_opening
from simtrain.catalog.images import decode_image, read_image
from simtrain.catalog.picture_kinds import accident_of, picture_suffix
from simtrain.errors import CatalogError

SUFFIXES = {
    "JPEG": ".jpg",
    "PNG": ".png",
    "GIF": ".gif",
    "WEBP": ".webp",
    "BMP": ".bmp",
    "TIFF": ".tif",
    "AVIF": ".avif",
}


def saved(kind: str) -> bytes:
    file = BytesIO()
    Image.new("RGB", (16, 16), "red").save(file, kind)
    return file.getvalue()


@pytest.mark.parametrize(("kind", "suffix"), SUFFIXES.items())
def test_pictures_by_their_first_bytes(kind: str, suffix: str) -> None:
    assert picture_suffix(saved(kind)[:64]) == suffix


@pytest.mark.parametrize("head", [b"", b"BMxy", b"\0\0\0\x18ftypisom" + bytes(20), b"RIFF1234WAVE", b"%PDF-1.4"])
def test_other_files_are_no_pictures(head: bytes) -> None:
    assert picture_suffix(head) is None


@pytest.mark.parametrize(
    ("head", "word"),
    [
        (b"", "is empty"),
        (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
        (b"\n <HTML><head>", "web page"),
        (b'<?xml version="1.0"?><Error><Code>AccessDenied', "XML"),
        (b'{"error": 404}', "JSON"),
        (b"%PDF-1.7", "PDF"),
        (b"8BPS\0\1", "Photoshop"),
        (bytes(500), "zeros"),
    ],
)
def test_accidents_are_named(tmp_path: Path, head: bytes, word: str) -> None:
    assert word in str(accident_of(head))
    (tmp_path / "a.jpg").write_bytes(head)
    with pytest.raises(CatalogError, match=rf"not an image, or of a kind that Pillow does not know: it .*{word}"):
        read_image(tmp_path / "a.jpg")


def test_an_accident_that_nobody_knows_has_no_name() -> None:
    assert accident_of(b"some bytes") is None


def heic(pixels: np.ndarray) -> bytes:
    file = BytesIO()
    pillow_heif.from_pillow(Image.fromarray(pixels)).save(file, quality=-1)
    return file.getvalue()


def test_heic_is_read_like_any_other_picture() -> None:
    pixels = np.zeros((32, 48, 3), dtype=np.uint8)
    pixels[:, :24] = (200, 40, 40)
    data = heic(pixels)
    assert picture_suffix(data[:64]) == ".heic"
    assert np.abs(decode_image(data, at_least=None).pixels.astype(int) - pixels).mean() < 4


def test_heic_without_its_package_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_opening, "reads_heif", lambda: False)
    with pytest.raises(CatalogError, match=r"^is HEIC, as phones write it; pip install 'simtrain\[heic\]' makes"):
        decode_image(heic(np.zeros((32, 32, 3), dtype=np.uint8)), at_least=None)

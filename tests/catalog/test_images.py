"""Reading image files: what comes out of each kind, and one line for what cannot be read."""

import re
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from simtrain.catalog.images import read_image
from simtrain.errors import CatalogError

RED_LEFT = np.zeros((20, 30, 3), dtype=np.uint8)
RED_LEFT[:, :10, 0] = 255


@pytest.mark.parametrize("name", ["a.png", "A.PNG", "عکس محصول.bmp", "name with spaces.tiff", "a.gif", "lossless.webp"])
def test_lossless_files_come_back_as_they_were(tmp_path: Path, name: str) -> None:
    lossless = {"lossless": True} if name.endswith("webp") else {}
    Image.fromarray(RED_LEFT).save(tmp_path / name, **lossless)
    np.testing.assert_array_equal(read_image(tmp_path / name), RED_LEFT)


def test_jpeg_is_near(tmp_path: Path) -> None:
    Image.fromarray(RED_LEFT).save(tmp_path / "a.jpg", quality=95, subsampling=0)
    assert np.abs(read_image(tmp_path / "a.jpg").astype(int) - RED_LEFT).mean() < 5


def test_jpeg_in_cmyk_becomes_rgb(tmp_path: Path) -> None:
    Image.new("CMYK", (8, 8), (0, 255, 255, 0)).save(tmp_path / "a.jpg", quality=95)
    red, green, blue = read_image(tmp_path / "a.jpg").reshape(-1, 3).mean(axis=0)
    assert red > 220
    assert green < 60
    assert blue < 60


def test_exif_orientation_is_applied(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: display needs 90 degrees clockwise
    Image.fromarray(RED_LEFT).save(tmp_path / "a.png", exif=exif)
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), np.rot90(RED_LEFT, k=-1))


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_transparency_is_laid_on_white(tmp_path: Path, mode: str) -> None:
    Image.new(mode, (4, 4), 0).save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), np.full((4, 4, 3), 255, dtype=np.uint8))


def test_transparent_palette_entry_is_laid_on_white(tmp_path: Path) -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([255, 0, 0, 0, 0, 255])
    image.putpixel((1, 0), 1)
    image.save(tmp_path / "a.png", transparency=1)
    assert read_image(tmp_path / "a.png").tolist() == [[[255, 0, 0], [255, 255, 255]]]


def test_sixteen_bit_grey_keeps_its_range(tmp_path: Path) -> None:
    values: NDArray[np.uint16] = np.array([[0, 32768, 65535]], dtype=np.uint16)
    Image.fromarray(values).save(tmp_path / "a.png")
    assert read_image(tmp_path / "a.png")[0, :, 0].tolist() == [0, 127, 255]  # floor(value · 255 / 65535)


def test_first_picture_of_an_animation_counts(tmp_path: Path) -> None:
    first, second = Image.new("RGB", (5, 5), (255, 0, 0)), Image.new("RGB", (5, 5), (0, 0, 255))
    first.save(tmp_path / "a.gif", save_all=True, append_images=[second])
    assert read_image(tmp_path / "a.gif")[0, 0].tolist() == [255, 0, 0]


def test_jpeg_can_be_decoded_smaller_but_not_below_what_is_asked(tmp_path: Path) -> None:
    Image.new("RGB", (800, 600)).save(tmp_path / "a.jpg")
    height, width, _ = read_image(tmp_path / "a.jpg", at_least=100).shape
    assert (100, 100) <= (height, width) < (600, 800)


def test_truncated_jpeg_is_refused(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    Image.fromarray(generator.integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(tmp_path / "whole.jpg")
    content = (tmp_path / "whole.jpg").read_bytes()
    (tmp_path / "cut.jpg").write_bytes(content[: len(content) // 2])
    with pytest.raises(CatalogError, match=r"cut\.jpg: cannot be read as an image: .*truncated"):
        read_image(tmp_path / "cut.jpg")


@pytest.mark.parametrize("content", [b"", b"<!DOCTYPE html><html><body>404</body></html>"])
def test_what_is_no_image_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(content)
    with pytest.raises(CatalogError, match=f"^{re.escape(str(path))}: not an image, or of a kind that Pillow does not"):
        read_image(path)


def test_missing_file_and_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match=r"a\.jpg: no such image$"):
        read_image(tmp_path / "a.jpg")
    with pytest.raises(CatalogError, match="cannot be read as an image"):
        read_image(tmp_path)


@pytest.mark.parametrize("limit", [50, 99])  # 100 pixels: beyond twice the limit Pillow raises, below it only warns
def test_decompression_bomb_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: int) -> None:
    Image.new("RGB", (10, 10)).save(tmp_path / "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    with pytest.raises(CatalogError, match=r"a\.png: too many pixels: Image size \(100 pixels\)"):
        read_image(tmp_path / "a.png")

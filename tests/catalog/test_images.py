"""Reading image files: what comes out of each kind, and one line for what cannot be read."""

import re
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import simplejpeg
from numpy.typing import NDArray
from PIL import Image, ImageFile

from simtrain.catalog.images import IMAGE_SUFFIXES, decode_image, read_image
from simtrain.errors import CatalogError

RED_LEFT = np.zeros((20, 30, 3), dtype=np.uint8)
RED_LEFT[:, :10, 0] = 255
NOISE = np.random.default_rng(0).integers(0, 256, (67, 45, 3), dtype=np.uint8)
TURNS = {  # EXIF's orientation -> how the stored rows and columns come to be seen
    1: lambda pixels: pixels,
    2: lambda pixels: pixels[:, ::-1],
    3: lambda pixels: pixels[::-1, ::-1],
    4: lambda pixels: pixels[::-1],
    5: lambda pixels: pixels.swapaxes(0, 1),
    6: lambda pixels: np.rot90(pixels, k=-1),
    7: lambda pixels: np.rot90(pixels, k=2).swapaxes(0, 1),
    8: lambda pixels: np.rot90(pixels, k=1),
}


def saved(picture: Image.Image, kind: str, **saving: object) -> bytes:
    file = BytesIO()
    picture.save(file, kind, **saving)
    return file.getvalue()


def decoded(picture: Image.Image, kind: str, **saving: object) -> NDArray[np.uint8]:
    return decode_image(saved(picture, kind, **saving), at_least=None).pixels


def by_pillow(data: bytes) -> NDArray[np.uint8]:
    with Image.open(BytesIO(data)) as image:
        return np.asarray(image.convert("RGB"))


def exif_of(orientation: object) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


@pytest.mark.parametrize("name", ["a.png", "A.PNG", "عکس محصول.bmp", "name with spaces.tiff", "a.gif", "lossless.webp"])
def test_lossless_files_come_back_as_they_were(tmp_path: Path, name: str) -> None:
    lossless = {"lossless": True} if name.endswith("webp") else {}
    Image.fromarray(RED_LEFT).save(tmp_path / name, **lossless)
    np.testing.assert_array_equal(read_image(tmp_path / name), RED_LEFT)


def test_jpeg_is_near(tmp_path: Path) -> None:
    Image.fromarray(RED_LEFT).save(tmp_path / "a.jpg", quality=95, subsampling=0)
    assert np.abs(read_image(tmp_path / "a.jpg").astype(int) - RED_LEFT).mean() < 5


def test_exif_orientation_is_applied(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: display needs 90 degrees clockwise
    Image.fromarray(RED_LEFT).save(tmp_path / "a.png", exif=exif)
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), np.rot90(RED_LEFT, k=-1))


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


@pytest.mark.parametrize("suffix", sorted(IMAGE_SUFFIXES))
def test_every_listed_kind_is_read(tmp_path: Path, suffix: str) -> None:
    kind = {".pjpeg": "JPEG", ".mpo": "MPO", ".jp2": "JPEG2000"}.get(suffix)
    Image.fromarray(RED_LEFT).save(tmp_path / f"a{suffix}", kind)
    assert np.abs(read_image(tmp_path / f"a{suffix}").astype(int) - RED_LEFT).mean() < 8


@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize("subsampling", [0, 1, 2])
@pytest.mark.parametrize("size", [(1, 1), (3, 17), (64, 64), (45, 67)])
@pytest.mark.parametrize("saving", [{}, {"progressive": True}, {"restart_marker_blocks": 2}])
def test_jpeg_has_the_pixels_that_pillow_finds(mode, subsampling, size, saving) -> None:
    picture = Image.fromarray(NOISE).resize(size).convert(mode)
    data = saved(picture, "JPEG", subsampling=subsampling, **saving)
    np.testing.assert_array_equal(decode_image(data, at_least=None).pixels, by_pillow(data))


@pytest.mark.parametrize(("at_least", "eighths"), [(22, 1), (40, 2), (46, 3), (68, 4), (91, 5), (113, 8), (1000, 8)])
def test_a_jpeg_is_decoded_at_the_fewest_eighths_that_are_enough(at_least: int, eighths: int) -> None:
    gentle = Image.linear_gradient("L").resize((240, 180)).convert("RGB")
    found = decode_image(saved(gentle, "JPEG", quality=95), at_least=at_least).pixels
    size = (240 * eighths // 8, -(-180 * eighths // 8))
    assert found.shape == (size[1], size[0], 3)
    difference = np.abs(found.astype(int) - np.asarray(gentle.resize(size, Image.Resampling.BOX)))
    assert difference.mean() < 3
    assert difference.max() <= 8


@pytest.mark.parametrize("at_least", [1, 22, 45, 70, 90, 120, 1000])
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_halves_quarters_and_eighths_of_a_jpeg_have_the_pixels_of_pillows_draft(mode: str, at_least: int) -> None:
    data = saved(Image.fromarray(NOISE).resize((201, 180)).convert(mode), "JPEG")
    with Image.open(BytesIO(data)) as image:
        image.draft(None, (at_least, at_least))
        expected = np.asarray(image.convert("RGB"))
    np.testing.assert_array_equal(decode_image(data, at_least=at_least).pixels, expected)


@pytest.mark.parametrize(
    ("kind", "saving"), [("JPEG", {}), ("MPO", {"save_all": True, "append_images": [Image.new("RGB", (45, 67))]})]
)
def test_jpeg_does_not_go_the_slow_way(monkeypatch: pytest.MonkeyPatch, kind: str, saving: dict[str, object]) -> None:
    data = saved(Image.fromarray(NOISE), kind, **saving)
    expected = by_pillow(data)
    monkeypatch.delattr(ImageFile.ImageFile, "load")
    np.testing.assert_array_equal(decode_image(data, at_least=None).pixels, expected)


def test_jpeg_of_uncommon_subsampling_is_read() -> None:
    data = bytearray(saved(Image.new("RGB", (9, 9), (200, 30, 40)), "JPEG", subsampling=0))
    start = data.index(b"\xff\xc0")
    data[start + 11], data[start + 14] = 0x22, 0x21  # the second band is halved in height only
    assert decode_image(bytes(data), at_least=None).pixels.shape == (9, 9, 3)


def test_size_that_only_pillow_has_checked_is_left_to_pillow(monkeypatch: pytest.MonkeyPatch) -> None:
    data = saved(Image.fromarray(NOISE), "JPEG")
    monkeypatch.setattr(simplejpeg, "decode_jpeg_header", lambda data: (60_000, 60_000, "YCbCr", "420"))
    monkeypatch.delattr(simplejpeg, "decode_jpeg")
    np.testing.assert_array_equal(decode_image(data, at_least=None).pixels, by_pillow(data))


def test_bytes_behind_a_jpeg_do_no_harm() -> None:
    data = saved(Image.fromarray(NOISE), "JPEG")
    image = decode_image(data + b"<!-- made in 12 s -->", at_least=None)
    np.testing.assert_array_equal(image.pixels, by_pillow(data))
    assert image.note is None


def test_damage_that_pillow_survives_is_told() -> None:
    data = saved(Image.fromarray(NOISE), "JPEG")
    data = data[:-200] + b"\xff\xd9" + data[-200:]  # an end amidst the pixels
    image = decode_image(data, at_least=None)
    np.testing.assert_array_equal(image.pixels, by_pillow(data))
    assert image.note == "damaged, yet readable: Corrupt JPEG data: premature end of data segment"


@pytest.mark.parametrize("missing", [1, 2, 20])
def test_jpeg_without_its_last_bytes_is_refused(missing: int) -> None:
    data = saved(Image.fromarray(NOISE), "JPEG")
    with pytest.raises(CatalogError, match=r"^cannot be read as an image: image file is truncated"):
        decode_image(data[:-missing], at_least=None)


@pytest.mark.parametrize("kind", ["PNG", "GIF", "WEBP", "TIFF", "BMP", "AVIF"])
def test_half_a_file_is_refused(kind: str) -> None:
    data = saved(Image.fromarray(NOISE), kind)
    with pytest.raises(CatalogError, match=r"^(cannot be read as an image: |not an image, or of a kind)"):
        decode_image(data[: len(data) // 2], at_least=None)


@pytest.mark.parametrize("orientation", TURNS)
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP", "CMYK"])
def test_all_orientations_are_turned(orientation: int, kind: str) -> None:
    picture, kind = (
        (Image.fromarray(NOISE).convert("CMYK"), "JPEG") if kind == "CMYK" else (Image.fromarray(NOISE), kind)
    )
    turned = decoded(picture, kind, exif=exif_of(orientation))
    np.testing.assert_array_equal(turned, TURNS[orientation](decoded(picture, kind)))
    assert turned.flags.c_contiguous


@pytest.mark.parametrize("orientation", TURNS)
def test_a_row_of_pixels_is_turned(orientation: int) -> None:
    turned = decoded(Image.fromarray(NOISE[:1]), "PNG", exif=exif_of(orientation))
    np.testing.assert_array_equal(turned, TURNS[orientation](NOISE[:1]))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("exif", [b"Exif\0\0nonsense that is no TIFF", b"Exif\0\0II*\0\x08\0\0\0\x09\0\x12\x01"])
def test_broken_exif_is_passed_over_and_told(kind: str, exif: bytes) -> None:
    picture = Image.fromarray(NOISE)
    image = decode_image(saved(picture, kind, exif=exif), at_least=None)
    np.testing.assert_array_equal(image.pixels, decoded(picture, kind))
    assert image.note == "its EXIF block cannot be read; not turned"


def test_meaningless_orientation_is_passed_over_and_told() -> None:
    image = decode_image(saved(Image.fromarray(NOISE), "PNG", exif=exif_of(9)), at_least=None)
    np.testing.assert_array_equal(image.pixels, NOISE)
    assert image.note == "its EXIF orientation is 9, not one of 1 to 8; not turned"


@pytest.mark.parametrize("exif", [exif_of(0), b"Exif\0\0II*\0\x08\0\0\0\0\0\0\0\0\0"])
def test_exif_that_says_nothing_is_no_fault(exif: object) -> None:
    image = decode_image(saved(Image.fromarray(NOISE), "PNG", exif=exif), at_least=None)
    np.testing.assert_array_equal(image.pixels, NOISE)
    assert image.note is None


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF"])
def test_first_of_several_pictures_counts(kind: str) -> None:
    lossless = {"lossless": True} if kind == "WEBP" else {}
    first, second = Image.new("RGB", (5, 5), (255, 0, 0)), Image.new("RGB", (5, 5), (0, 0, 255))
    pixels = decoded(first, kind, save_all=True, append_images=[second], **lossless)
    assert pixels.tolist() == [[[255, 0, 0]] * 5] * 5


@pytest.mark.parametrize("side", [slice(5, 7), slice(7, 9)])
def test_jpeg_without_pixels_is_refused(side: slice) -> None:
    data = bytearray(saved(Image.new("RGB", (8, 8)), "JPEG"))
    start = data.index(b"\xff\xc0")
    data[start + side.start : start + side.stop] = b"\0\0"
    with pytest.raises(CatalogError, match=r"^not an image, or of a kind that Pillow does not know$"):
        decode_image(bytes(data), at_least=None)


def test_notes_are_told_together() -> None:
    data = saved(Image.fromarray(NOISE), "JPEG", icc_profile=b"no profile", exif=exif_of(9))
    assert decode_image(data, at_least=None).note == (
        "its colour profile cannot be used: it is damaged: cannot open profile from string; taken as sRGB; "
        "its EXIF orientation is 9, not one of 1 to 8; not turned"
    )


def test_pillows_remarks_stay_off_the_screen(recwarn: pytest.WarningsRecorder) -> None:
    decode_image(saved(Image.fromarray(NOISE), "JPEG", exif=b"Exif\0\0II*\0\x08\0\0\0\x09\0\x12\x01"), at_least=None)
    assert not recwarn.list


def test_a_device_without_an_end_is_no_image() -> None:
    with pytest.raises(CatalogError) as told:
        read_image(Path("/dev/zero"))
    assert str(told.value) == "/dev/zero: is a device or a file of more than 1 GB, and no image"

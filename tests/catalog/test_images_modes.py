"""Reading image files: every way to say what colour a pixel has and how transparent it is."""

import struct
import zlib
from io import BytesIO
from pathlib import Path

import numpy as np
import PIL
import pytest
from numpy.typing import NDArray
from PIL import Image

from simtrain.catalog.images import decode_image, read_image
from simtrain.errors import CatalogError

NOISE = np.random.default_rng(0).integers(0, 256, (67, 45, 3), dtype=np.uint8)


def saved(picture: Image.Image, kind: str, **saving: object) -> bytes:
    file = BytesIO()
    picture.save(file, kind, **saving)
    return file.getvalue()


def decoded(picture: Image.Image, kind: str, **saving: object) -> NDArray[np.uint8]:
    return decode_image(saved(picture, kind, **saving), at_least=None).pixels


def png(depth: int, colour_type: int, row: bytes, *, width: int, key: bytes) -> bytes:
    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, 1, depth, colour_type, 0, 0, 0))
    pixels = chunk(b"IDAT", zlib.compress(b"\0" + row))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"tRNS", key) + pixels + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("kind", "told"), [("TIFF", "3 pages"), ("GIF", "3 frames"), ("WEBP", "3 frames"), ("PNG", "3 frames")]
)
def test_further_pictures_of_a_file_are_told(kind: str, told: str) -> None:
    first, *others = (Image.fromarray(np.roll(NOISE, step, axis=0)) for step in range(3))
    lossless = {"lossless": True} if kind == "WEBP" else {}
    data = saved(first, kind, save_all=True, append_images=others, **lossless)
    found = decode_image(data, at_least=None)
    assert found.note == f"the first of its {told} is read"
    assert decode_image(saved(first, kind, **lossless), at_least=None).note is None
    if kind != "GIF":
        assert np.array_equal(found.pixels, NOISE)


def test_jpeg_in_cmyk_becomes_rgb(tmp_path: Path) -> None:
    Image.new("CMYK", (8, 8), (0, 255, 255, 0)).save(tmp_path / "a.jpg", quality=95)
    red, green, blue = read_image(tmp_path / "a.jpg").reshape(-1, 3).mean(axis=0)
    assert red > 220
    assert green < 60
    assert blue < 60


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


OLD_PILLOW = int(PIL.__version__.partition(".")[0]) < 13
YCBCR = pytest.param(
    "YCbCr", marks=pytest.mark.skipif(OLD_PILLOW, reason="Pillow 12 cannot read the TIFFs that it writes")
)


@pytest.mark.parametrize("mode", ["1", "L", "P", "CMYK", YCBCR, "HSV", "LAB"])
def test_opaque_modes_become_what_pillow_makes_of_them(mode: str) -> None:
    picture = Image.fromarray(NOISE).convert(mode)
    kind = {"HSV": "PNG", "P": "PNG"}.get(mode, "TIFF")
    picture = picture.convert("RGB") if mode == "HSV" else picture
    np.testing.assert_array_equal(decoded(picture, kind), np.asarray(picture.convert("RGB")))


@pytest.mark.parametrize("inks", [(0, 0, 0, 0), (255, 0, 0, 0), (0, 255, 255, 0), (0, 0, 0, 255), (40, 80, 120, 30)])
@pytest.mark.parametrize("kind", ["JPEG", "TIFF"])  # Adobe's JPEGs hold inverted inks
def test_inks_darken(inks: tuple[int, ...], kind: str) -> None:
    colour = decoded(Image.new("CMYK", (8, 8), inks), kind)[4, 4].astype(int)
    expected = [(255 - ink) * (255 - inks[3]) / 255 for ink in inks[:3]]
    assert np.abs(colour - expected).max() <= 2


def test_transparency_by_degrees_is_laid_on_white() -> None:
    layers = np.random.default_rng(1).integers(0, 256, (30, 30, 4), dtype=np.uint8)
    alpha = layers[..., 3:] / 255
    expected = layers[..., :3] * alpha + 255 * (1 - alpha)
    assert np.abs(decoded(Image.fromarray(layers), "PNG") - expected).max() <= 1


def test_transparent_grey_by_degrees_is_laid_on_white() -> None:
    layers = np.random.default_rng(1).integers(0, 256, (30, 30, 2), dtype=np.uint8)
    alpha = layers[..., 1:] / 255
    expected = layers[..., :1] * alpha + 255 * (1 - alpha)
    assert np.abs(decoded(Image.fromarray(layers), "PNG") - expected).max() <= 1


def test_premultiplied_transparency_is_divided_out_first() -> None:
    content = saved(Image.new("RGBA", (2, 2), (50, 20, 10, 100)), "TIFF")
    premultiplied = content.replace(struct.pack("<HHII", 338, 3, 1, 2), struct.pack("<HHII", 338, 3, 1, 1))
    assert premultiplied != content
    assert np.abs(decode_image(premultiplied, at_least=None).pixels - np.array([205.0, 175.0, 165.0])).max() <= 1


def test_palette_entries_transparent_by_degrees_are_laid_on_white() -> None:
    picture = Image.new("P", (3, 1))
    picture.putpalette([255, 0, 0, 0, 0, 255, 0, 100, 0])
    picture.putdata([0, 1, 2])
    pixels = decoded(picture, "PNG", transparency=bytes([255, 0, 51]))
    assert pixels.tolist() == [[[255, 0, 0], [255, 255, 255], [204, 224, 204]]]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (png(8, 2, bytes([1, 2, 3, 4, 5, 6]), width=2, key=bytes([0, 4, 0, 5, 0, 6])), [[1, 2, 3], [255] * 3]),
        (png(8, 0, bytes([7, 9]), width=2, key=bytes([0, 9])), [[7] * 3, [255] * 3]),
        (png(1, 0, bytes([0b01000000]), width=2, key=bytes([0, 0])), [[255] * 3, [255] * 3]),
        (png(16, 0, struct.pack(">2H", 300, 25700), width=2, key=struct.pack(">H", 300)), [[255] * 3, [100] * 3]),
    ],
)
def test_one_colour_that_stands_for_transparency_becomes_white(data: bytes, expected: list[list[int]]) -> None:
    assert decode_image(data, at_least=None).pixels[0].tolist() == expected


def test_sixteen_bits_are_sixteen_bits_in_a_dark_picture() -> None:
    values: NDArray[np.uint16] = np.array([[0, 200, 255]], dtype=np.uint16)  # all of it black, within 8 bits or not
    assert decoded(Image.fromarray(values), "PNG").tolist() == [[[0, 0, 0]] * 3]


def test_sixteen_bits_most_significant_first_keep_their_range() -> None:
    picture = Image.frombytes("I;16B", (3, 1), struct.pack(">3H", 0, 32768, 65535))
    assert decoded(picture, "TIFF")[0, :, 0].tolist() == [0, 127, 255]


def test_sixteen_bits_that_come_as_32_keep_their_range() -> None:
    data = b"P5 3 1 65535\n" + struct.pack(">3H", 0, 32768, 65535)
    assert decode_image(data, at_least=None).pixels[0, :, 0].tolist() == [0, 127, 255]


def test_floating_point_runs_from_black_to_white() -> None:
    values: NDArray[np.float32] = np.array([[0.0, 0.2, 1.0]], dtype=np.float32)
    assert decoded(Image.fromarray(values), "TIFF")[0, :, 0].tolist() == [0, 51, 255]


@pytest.mark.parametrize(("values", "span"), [([0.0, 200.5], "0 to 200.5"), ([-1.0, 1.0], "-1 to 1")])
def test_floating_point_of_another_range_is_refused(values: list[float], span: str) -> None:
    data = saved(Image.fromarray(np.array([values], dtype=np.float32)), "TIFF")
    with pytest.raises(CatalogError) as caught:
        decode_image(data, at_least=None)
    assert str(caught.value) == (
        f"cannot be read as an image: its grey in floating point runs from {span}, not within 0 (black) and 1 (white); "
        "save it with 8 or 16 bits"
    )


def test_grey_of_32_bits_is_refused() -> None:
    data = saved(Image.fromarray(np.array([[0, 1 << 20]], dtype=np.int32)), "TIFF")
    with pytest.raises(CatalogError) as caught:
        decode_image(data, at_least=None)
    assert str(caught.value) == (
        "cannot be read as an image: nobody can tell what white is in its signed or 32-bit grey; "
        "save it with 8 or 16 bits"
    )

"""Bounds for image files: pixels, and a PNG's texts and profile."""

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms
from PIL.PngImagePlugin import PngInfo

from simtrain.catalog.images import LARGEST_PIXELS, decode_image, read_image
from simtrain.config.prepare import InspectionConfig
from simtrain.errors import CatalogError

NOISE = np.random.default_rng(0).integers(0, 256, (67, 45, 3), dtype=np.uint8)


def saved(picture: Image.Image, kind: str, **saving: object) -> bytes:
    file = BytesIO()
    picture.save(file, kind, **saving)
    return file.getvalue()


@pytest.mark.parametrize("limit", [50, 99])
def test_decompression_bomb_is_refused(tmp_path: Path, limit: int) -> None:
    Image.new("RGB", (10, 10)).save(tmp_path / "a.png")
    with pytest.raises(CatalogError, match=r"a\.png: too many pixels: Image size \(100 pixels\) exceeds limit of \d+"):
        read_image(tmp_path / "a.png", largest_pixels=limit)
    assert read_image(tmp_path / "a.png", largest_pixels=100).shape == (10, 10, 3)


@pytest.mark.parametrize("limit", [50, 99])  # 100 pixels: beyond twice its limit Pillow raises, below it warns
def test_pillows_own_bound_is_neither_used_nor_changed(monkeypatch: pytest.MonkeyPatch, limit: int) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    assert decode_image(saved(Image.new("RGB", (10, 10)), "PNG"), at_least=None).pixels.shape == (10, 10, 3)
    assert limit == Image.MAX_IMAGE_PIXELS


def test_the_bound_is_the_settings_default() -> None:
    assert InspectionConfig().largest_megapixels * 1e6 == LARGEST_PIXELS


@pytest.mark.parametrize("zipped", [True, False])
def test_a_png_with_large_texts_keeps_picture_and_colours(zipped: bool) -> None:
    texts = PngInfo()
    texts.add_itxt("XML:com.adobe.xmp", "<x/>" * 700_000, zip=zipped)
    for number in range(40 if zipped else 0):  # more than Pillow reads of all texts together
        texts.add_text(f"comment {number}", "x" * 1_000_000, zip=True)
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    image = decode_image(saved(Image.fromarray(NOISE), "PNG", pnginfo=texts, icc_profile=profile), at_least=None)
    np.testing.assert_array_equal(image.pixels, NOISE)
    if zipped:
        assert image.note is not None
        assert image.note.startswith("it carries more than 1 MB of texts (XMP, comments)")


def test_a_large_profile_of_a_png_is_used() -> None:
    """The profile of a picture whose red and green are exchanged, made large by bytes that nobody reads."""
    plain = Image.fromarray(NOISE)
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    padded = (len(profile) + 1_200_000).to_bytes(4, "big") + profile[4:] + bytes(1_200_000)
    image = decode_image(saved(plain, "PNG", icc_profile=padded), at_least=None)
    assert image.note is not None
    assert "colour profile" in image.note
    assert np.abs(image.pixels.astype(int) - NOISE).max() <= 1


def test_jpeg_that_claims_to_be_huge_is_refused() -> None:
    data = bytearray(saved(Image.new("RGB", (8, 8)), "JPEG"))
    start = data.index(b"\xff\xc0")
    data[start + 5 : start + 9] = b"\xff\xff\xff\xff"
    with pytest.raises(CatalogError, match=r"^too many pixels: Image size \(4294836225 pixels\)"):
        decode_image(bytes(data), at_least=None)

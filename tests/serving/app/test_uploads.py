"""Hostile uploads, each refused for its reason."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from simtrain.catalog.images import decode_image
from simtrain.serving.app.request_error import RequestError
from simtrain.serving.app.settings import usual_limits
from simtrain.serving.app.uploads import decoded_upload

LIMITS = usual_limits(upload_megabytes=0.2, megapixels=1, seconds=5)
PIXELS = np.random.default_rng(0).integers(0, 256, (40, 30, 3), dtype=np.uint8)


def encoded(kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    Image.fromarray(PIXELS).save(file, format=kind, **options)
    return file.getvalue()


def png_bomb() -> bytes:
    """Claims 30000 × 30000 pixels."""
    head = struct.pack(">IIBBBBB", 30000, 30000, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", head), (b"IDAT", zlib.compress(bytes(100_000))), (b"IEND", b"")]
    parts = [struct.pack(">I", len(d)) + t + d + struct.pack(">I", zlib.crc32(t + d)) for t, d in chunks]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "BMP"])
def test_a_picture_is_decoded_as_a_search_by_file_does(kind: str) -> None:
    data = encoded(kind)
    expected = decode_image(data, at_least=None).pixels
    assert np.array_equal(decoded_upload(data, limits=LIMITS), expected)


@pytest.mark.parametrize(
    ("data", "status", "message"),
    [
        (b"", 415, "image: not a picture that is read here"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", 415, "image: not a picture that is read here"),
        (b"<html><script>alert(1)</script></html>", 415, "image: not a picture that is read here"),
        (b"%PDF-1.7", 415, "image: not a picture that is read here"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", 415, "image: not a picture that is read here"),
        (b"MZ" + bytes(200), 415, "image: not a picture that is read here"),
        (encoded("TIFF"), 415, "image: not a picture that is read here"),
        (encoded("PNG")[:400], 422, "image: cannot be read as an image"),
        (encoded("JPEG")[:300], 422, "image: cannot be read as an image"),
        (b"GIF89a<script>alert(1)</script>", 422, "image: "),
        (b"\xff\xd8\xff" + b"PK\x03\x04" * 50, 422, "image: "),
        (png_bomb(), 413, "image: too many pixels; allowed: up to 1 million"),
        (encoded("JPEG")[:200] + b"\xff\xda" * 65, 413, "image: a JPEG of more than 64 scans"),
        (bytes(200_001), 413, "image: 0.2 MB; allowed: up to 0.2 MB"),
    ],
)
def test_what_is_no_picture_is_refused(data: bytes, status: int, message: str) -> None:
    with pytest.raises(RequestError) as caught:
        decoded_upload(data, limits=LIMITS)
    assert caught.value.status == status
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)

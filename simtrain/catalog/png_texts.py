"""PNG files whose texts or colour profile are larger than Pillow reads: the picture without them."""

import struct
import zlib
from collections.abc import Iterator

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_TEXTS = frozenset({b"tEXt", b"zTXt", b"iTXt"})
_LARGEST_PROFILE = 64 << 20
"""Bytes of a colour profile, unpacked; the largest that printers' profiles have is some 10 MB."""


def without_large_texts(data: bytes) -> tuple[bytes, bytes | None]:
    """A PNG's content without its texts (XMP, comments) and its colour profile, and that profile, unpacked.

    Args:
        data: Content of a PNG.

    Returns:
        The content, equal to `data` where nothing had to go; the profile, None where there is none, or none that can
        be unpacked to at most 64 MB.
    """
    kept, profile = [_SIGNATURE], None
    for kind, chunk, body in _chunks(data):
        if kind == b"iCCP":
            profile = _unpacked(body)
        elif kind not in _TEXTS:
            kept.append(chunk)
    return b"".join(kept), profile


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes, bytes]]:
    """Kind, whole chunk and body of each chunk; the last one as far as it goes."""
    place = len(_SIGNATURE)
    while place + 8 <= len(data):
        (length,) = struct.unpack(">I", data[place : place + 4])
        end = place + 12 + length
        yield data[place + 4 : place + 8], data[place:end], data[place + 8 : place + 8 + length]
        place = end


def _unpacked(body: bytes) -> bytes | None:
    _, _, rest = body.partition(b"\0")
    try:
        unpacking = zlib.decompressobj()
        profile = unpacking.decompress(rest[1:], _LARGEST_PROFILE)
    except zlib.error:
        return None
    return profile if unpacking.eof else None

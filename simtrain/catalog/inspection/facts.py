"""Facts of one image file: size, hashes, contrast, fingerprint, problems."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class ImageFacts:
    """Facts of one file; numbers are 0 and texts empty where it cannot be read.

    Attributes:
        width: Pixels across, after the turn that EXIF asks for.
        height: Pixels down, likewise.
        sha256: Hash of the file's bytes, also where they are no image; empty if it could not be opened.
        pixel_sha256: Hash of the decoded sRGB pixels and their shape: equal for files of exactly the same pixels.
        contrast: Largest range of a colour channel, 0 to 255, after reduction to 16 × 16: 0 is one flat colour.
        fingerprint: `FINGERPRINT_BYTES` bytes for the search for near duplicates.
        note: What was ignored while reading, such as an invalid colour profile; None if nothing was.
        problem: Why it cannot be read; None if it can.
    """

    width: int
    height: int
    sha256: str
    pixel_sha256: str
    contrast: int
    fingerprint: bytes
    note: str | None
    problem: str | None

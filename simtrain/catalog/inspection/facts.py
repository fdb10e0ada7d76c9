"""What reading one file told."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class ImageFacts:
    """What reading a file told; numbers are 0 and texts empty where it cannot be read.

    Attributes:
        width: Pixels across, after the turn that EXIF asks for.
        height: Pixels down, likewise.
        sha256: Of the file's bytes, also where they are no image; empty if it could not be opened.
        pixel_sha256: Of the decoded sRGB pixels and their shape: equal for files that show exactly the same picture.
        contrast: Largest range of a colour channel, 0 to 255, after reduction to 16 × 16: 0 is one flat colour.
        fingerprint: For the search for near duplicates.
        note: What was passed over while reading, such as a colour profile that makes no sense; None if nothing.
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

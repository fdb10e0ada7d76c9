"""Kinds of files: pictures by name and by content, pictures that are not read, and files that are something else."""

from functools import cache
from importlib.util import find_spec

_READ = """
.apng .avif .bmp .dib .gif .j2k .jfif .jp2 .jpe .jpeg .jpg .mpo .pjpeg .png .ppm .tif .tiff .webp
"""
IMAGE_SUFFIXES = frozenset(_READ.split())
"""Names of files that Pillow reads as it is."""

HEIF_SUFFIXES = frozenset({".heic", ".heif", ".hif"})
"""Names of files that the optional package pillow-heif reads."""

_NOT_READ = """
.3fr .ai .arw .avi .cdr .cr2 .cr3 .crw .dds .dng .eps .erf .exr .fff .gpr .hdr .ico .iiq .jxl .jxr .kdc .mkv .mov .mp4
.mrw .nef .nrw .orf .pbm .pcx .pdf .pef .pgm .pnm .psb .psd .raf .raw .rw2 .rwl .sr2 .srf .srw
.svg .svgz .tga .webm .wmv .x3f .xcf
"""
UNREAD_PICTURE_SUFFIXES = frozenset(_NOT_READ.split())
"""Names of pictures and films that are not read: drawings, camera raw, layers. Some begin like a TIFF."""

_NO_PICTURES = """
.7z .aria2 .bak .bat .bz2 .c .cfg .crdownload .css .csv .db .doc .docx .feather .flac .gz .h5 .hdf5 .htm .html .ini
.ipynb .jar .js .json .jsonl .lmdb .lnk .log .m4a .mat .md .mp3 .ndjson .npy .npz .odt .ogg .old .orig .parquet .part
.partial .pickle .pkl .pptx .pt .pth .py .rar .rst .rtf .safetensors .sh .sqlite .srt .tab .tar .tfrecord .tgz .tmp
.toml .torrent .tsv .txt .url .wav .xls .xlsx .xml .xmp .xz .yaml .yml .zip .zst
"""
NO_PICTURE_SUFFIXES = frozenset(_NO_PICTURES.split())
"""Names of files that are no pictures, so that they need not be opened to know it."""

HEAD_BYTES = 64
"""So many bytes of a file tell its kind."""

HEIC_HINT = "pip install 'simtrain[heic]' makes simtrain read HEIC"

_MAGIC = {
    b"\xff\xd8\xff": ".jpg",
    b"\x89PNG\r\n\x1a\n": ".png",
    b"GIF8": ".gif",
    b"II*\0": ".tif",
    b"MM\0*": ".tif",
    b"\0\0\0\x0cjP  \r\n\x87\n": ".jp2",
}
_AVIF, _HEIF = (b"avif", b"avis"), (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
_LFS = b"version https://git-lfs"
_ANNEX = (b"/annex/objects/", b"../.git/annex/objects/", b".git/annex/objects/")
_PACKED = {
    b"PK\x03\x04": "is a ZIP archive, or a spreadsheet (.xlsx) under another name",
    b"\x1f\x8b": "is compressed (gzip); unpack it",
    b"BZh": "is compressed (bzip2); unpack it",
    b"\xfd7zXZ": "is compressed (xz); unpack it",
    b"7z\xbc\xaf": "is a 7z archive; unpack it",
    b"Rar!": "is a RAR archive; unpack it",
    b"\xd0\xcf\x11\xe0": "is a file of an old Excel or Word; save it as .xlsx or .csv",
    b"SQLite format 3": "is a database (SQLite); export the table as .csv",
}


def picture_suffix(head: bytes) -> str | None:
    """The suffix of the picture that a file's first bytes begin, such as `.jpg`; None: no picture that is known."""
    for magic, suffix in _MAGIC.items():
        if head.startswith(magic):
            return suffix
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return ".webp"
    if head[:2] == b"BM" and head[6:10] == bytes(4):  # two letters are few; the next fields are reserved
        return ".bmp"
    if head[4:8] == b"ftyp":
        brands = {head[place : place + 4] for place in range(8, len(head) - 3, 4) if place != 12}
        if head[8:12] in _AVIF or (brands & set(_AVIF) and head[8:12] not in _HEIF[:-2]):
            return ".avif"
        return ".heic" if head[8:12] in _HEIF else None
    return None


def accident_of(head: bytes) -> str | None:
    """What a file is by accident instead of a picture or a table, as a phrase behind its name; None: unknown."""
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if not head:
        return "is empty"
    if head[4:8] == b"ftyp":
        return "is HEIC, AVIF or a film, damaged or of a kind that is not read; save it as JPEG"
    if head.startswith(_LFS):
        return "is a pointer of git-lfs, not the data; run: git lfs pull"
    if text.startswith((b"<!doctype html", b"<html")):
        return "is a web page; the download went wrong"
    if head.startswith(_ANNEX):
        return "is a pointer of git-annex, not the data; run: git annex get"
    if text.startswith((b"<?xml", b"<error")):
        return "is XML; the download went wrong, or it is a drawing (SVG)"
    if text.startswith(b"<svg"):
        return "is a drawing (SVG), which is not read; save it as PNG"
    if text.startswith((b"<!--", b"<head", b"<body", b"<table", b"<title", b"<script")):
        return "is a web page, or a part of one"
    if text.startswith((b"{", b"[{")):
        return "is JSON; the download went wrong"
    if head.startswith(b"%PDF"):
        return "is a PDF; save its pages as PNG"
    if head.startswith(b"8BPS"):
        return "is a Photoshop file, which is not read; save it as PNG"
    for magic, what in _PACKED.items():
        if head.startswith(magic):
            return what
    if head[:4096].strip(b"\0") == b"":
        return "holds zeros only; its copy or download did not end"
    return None


@cache
def reads_heif() -> bool:
    """Whether the package that reads HEIC is installed; the first call makes Pillow know it."""
    if find_spec("pillow_heif") is None:
        return False
    from pillow_heif import register_heif_opener

    register_heif_opener()
    return True

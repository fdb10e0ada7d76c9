"""Unpacking archives: what honest ones give, and that hostile ones give one line and touch nothing outside."""

import bz2
import calendar
import gzip
import io
import lzma
import stat
import struct
import tarfile
import zipfile
from collections import namedtuple
from collections.abc import Callable
from pathlib import Path

import pytest

from simtrain.catalog.sources import archive as archive_module
from simtrain.catalog.sources.archive import unpack_archive
from simtrain.console import SILENT
from simtrain.errors import CatalogError

FILES = {"train/red/1.jpg": b"one" * 1000, "train/آبی/پیراهن ۲.jpeg": b"two", "read me.txt": b""}
LINK = "is a link or a device; only files and folders are unpacked"
OUTSIDE = "would lie outside the folder that the archive is unpacked into"
ONE_PLACE = "differ in upper and lower case only; unpack the archive yourself and give the folder"


def zip_info(name: str, *, mode: int = 0, moment: tuple[int, ...] = (2021, 4, 23, 10, 20, 30)) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo("placeholder", moment)  # type: ignore[arg-type]  # six numbers
    info.filename, info.external_attr = name, mode << 16
    info.compress_type = zipfile.ZIP_DEFLATED
    return info


def write_zip(path: Path, members: list[tuple[str | zipfile.ZipInfo, bytes]]) -> Path:
    with zipfile.ZipFile(path, "w") as file:
        for member, content in members:
            file.writestr(zip_info(member) if isinstance(member, str) else member, content)
    return path


def write_tar(path: Path, members: list[tuple[tarfile.TarInfo, bytes]], *, form: int = tarfile.PAX_FORMAT) -> Path:
    with tarfile.open(path, "w", format=form) as file:
        for info, content in members:
            info.size = len(content) if info.isreg() else 0
            file.addfile(info, io.BytesIO(content))
    return path


def tar_info(name: str, *, kind: bytes = tarfile.REGTYPE, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.mtime = kind, target, 1_600_000_000
    return info


def unpack(archive: Path, folder: Path, *, largest_bytes: int = 1_000_000) -> dict[str, bytes]:
    unpack_archive(archive, folder, largest_bytes=largest_bytes, console=SILENT)
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def refused(archive: Path, *, largest_bytes: int = 1_000_000) -> str:
    """The message, after a look that nothing else than the folder came to be."""
    top = archive.parent
    before = {path for path in top.rglob("*") if not path.is_relative_to(top / "out")}
    with pytest.raises(CatalogError) as told:
        unpack_archive(archive, top / "out", largest_bytes=largest_bytes, console=SILENT)
    assert {path for path in top.rglob("*") if not path.is_relative_to(top / "out")} == before
    assert not any(path.is_symlink() for path in top.rglob("*"))
    assert str(told.value).startswith(f"{archive}: ")
    return str(told.value).removeprefix(f"{archive}: ")


def test_zip_gives_its_files(tmp_path: Path) -> None:
    archive = write_zip(tmp_path / "a.zip", [("train/", b""), ("empty/", b""), *FILES.items()])
    assert unpack(archive, tmp_path / "out") == FILES
    assert not (tmp_path / "out" / "empty").exists()


@pytest.mark.parametrize("compress", [bytes, gzip.compress, bz2.compress, lzma.compress])
@pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
def test_tar_gives_its_files(tmp_path: Path, compress: Callable[[bytes], bytes], form: int) -> None:
    members = [(tar_info("./", kind=tarfile.DIRTYPE), b"")]
    members += [(tar_info(f"./{name}"), content) for name, content in FILES.items()]
    archive = write_tar(tmp_path / "a.tar", members, form=form)
    archive.write_bytes(compress(archive.read_bytes()))
    assert unpack(archive, tmp_path / "out") == FILES


def test_times_are_kept(tmp_path: Path) -> None:
    in_zip = write_zip(tmp_path / "a.zip", [("a.jpg", b"a"), (zip_info("b.jpg", moment=(1980, 0, 0, 0, 0, 0)), b"b")])
    unpack(in_zip, tmp_path / "zip")
    assert (tmp_path / "zip" / "a.jpg").stat().st_mtime == calendar.timegm((2021, 4, 23, 10, 20, 30))
    assert (tmp_path / "zip" / "b.jpg").stat().st_mtime == calendar.timegm((1980, 1, 1, 0, 0, 0))
    unpack(write_tar(tmp_path / "a.tar", [(tar_info("a.jpg"), b"a")]), tmp_path / "tar")
    assert (tmp_path / "tar" / "a.jpg").stat().st_mtime == 1_600_000_000


def test_what_macos_adds_is_left_out(tmp_path: Path) -> None:
    clutter = [("__MACOSX/red/._1.jpg", b"x"), ("red/.DS_Store", b"x")]
    assert unpack(write_zip(tmp_path / "a.zip", [*clutter, ("red/1.jpg", b"1")]), tmp_path / "out") == {
        "red/1.jpg": b"1"
    }


def without_utf8_flag(path: Path, name: bytes) -> Path:
    """A zip with one member of that raw name, which nothing says to be UTF-8."""
    write_zip(path, [("x" * len(name), b"1")])
    path.write_bytes(path.read_bytes().replace(b"x" * len(name), name))
    return path


@pytest.mark.parametrize(
    ("raw", "name"), [("کفش.jpg".encode(), "کفش.jpg"), (b"caf\x82.jpg", "café.jpg")], ids=["utf-8", "cp437"]
)
def test_zip_names_without_a_flag(tmp_path: Path, raw: bytes, name: str) -> None:
    assert list(unpack(without_utf8_flag(tmp_path / "a.zip", raw), tmp_path / "out")) == [name]


def test_tar_name_that_is_not_utf8_is_read_like_a_zips(tmp_path: Path) -> None:
    archive = write_tar(tmp_path / "a.tar", [(tar_info("cafX.jpg"), b"1")], form=tarfile.USTAR_FORMAT)
    header = bytearray(archive.read_bytes())
    header[3] = 0x82
    header[148:156] = b"%06o\0 " % (sum(header[:148]) + sum(header[156:512]) + 8 * 32)
    archive.write_bytes(header)
    assert list(unpack(archive, tmp_path / "out")) == ["café.jpg"]


def test_backslashes_separate_folders(tmp_path: Path) -> None:
    assert unpack(write_zip(tmp_path / "a.zip", [("red\\1.jpg", b"1")]), tmp_path / "out") == {"red/1.jpg": b"1"}


ESCAPING = ["/etc/x", "../x", "a/../../x", "..", "..\\x", "a\\..\\..\\x", "\\x", "C:\\x", "c:x", "__MACOSX/../../x"]


@pytest.mark.parametrize("name", ESCAPING)
@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_names_that_lead_out_are_refused(tmp_path: Path, name: str, kind: str) -> None:
    if kind == "zip":
        archive = write_zip(tmp_path / "a.zip", [("good.jpg", b"1"), (name, b"2")])
    else:
        archive = write_tar(tmp_path / "a.tar", [(tar_info("good.jpg"), b"1"), (tar_info(name), b"2")])
    assert refused(archive) == f"{name.replace(chr(92), '/')!r}: {OUTSIDE}"
    assert list((tmp_path / "out").iterdir()) == []


def test_name_with_nul_is_refused(tmp_path: Path) -> None:
    archive = without_utf8_flag(tmp_path / "a.zip", b"a.jpg\0../b")
    assert refused(archive) == "'a.jpg\\x00../b': has a NUL character in its name"


def test_name_too_long_for_file_systems_is_refused(tmp_path: Path) -> None:
    name = "پ" * 126 + ".jpg"  # 2 bytes each in UTF-8
    assert refused(write_zip(tmp_path / "a.zip", [(f"a/{name}", b"1")])) == (
        f"'a/{name}': has a name of more than 255 bytes"
    )


def test_path_too_long_for_file_systems_is_refused(tmp_path: Path) -> None:
    name = "/".join(["d" * 200] * 25)
    assert refused(write_zip(tmp_path / "a.zip", [(name, b"1")])) == f"{name}: cannot be unpacked: File name too long"


@pytest.mark.parametrize("mode", [stat.S_IFLNK | 0o777, stat.S_IFIFO | 0o600, stat.S_IFCHR | 0o600])
def test_links_and_devices_in_a_zip_are_refused(tmp_path: Path, mode: int) -> None:
    archive = write_zip(tmp_path / "a.zip", [(zip_info("l.jpg", mode=mode), b"/etc/passwd"), ("l.jpg/x", b"")])
    assert refused(archive) == f"l.jpg: {LINK}"


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE], ids=str
)
def test_links_and_devices_in_a_tar_are_refused(tmp_path: Path, kind: bytes) -> None:
    archive = write_tar(tmp_path / "a.tar", [(tar_info("l.jpg", kind=kind, target="/etc/passwd"), b"")])
    assert refused(archive) == f"l.jpg: {LINK}"


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["a/1.jpg", "a/1.jpg"], "a/1.jpg: stands twice in it"),
        (["a/1.jpg", "a/./1.jpg"], "a/./1.jpg: stands twice in it"),
        (["a/1.jpg", "a/1.JPG"], f"a/1.JPG: 'a/1.jpg' and 'a/1.JPG' {ONE_PLACE}"),
        (["Red/1.jpg", "red/2.jpg"], f"red/2.jpg: the folders 'Red' and 'red' {ONE_PLACE}"),
        (["a/1.jpg", "A"], "A: is a file and a folder at once"),
    ],
)
def test_names_for_one_place_are_refused(tmp_path: Path, names: list[str], message: str) -> None:
    assert refused(write_zip(tmp_path / "a.zip", [(name, b"1") for name in names])) == message


def test_encrypted_member_is_refused(tmp_path: Path) -> None:
    archive = write_zip(tmp_path / "a.zip", [("a.jpg", b"1")])
    content = bytearray(archive.read_bytes())
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(signature) + offset] |= 1
    archive.write_bytes(content)
    assert refused(archive) == "a.jpg: is encrypted; unpack the archive yourself and give the folder"


def test_wrong_checksum_is_refused(tmp_path: Path) -> None:
    info = zip_info("a.jpg")
    info.compress_type = zipfile.ZIP_STORED
    archive = write_zip(tmp_path / "a.zip", [(info, b"good bytes")])
    archive.write_bytes(archive.read_bytes().replace(b"good bytes", b"evil bytes"))
    assert refused(archive) == "a.jpg: cannot be unpacked: Bad CRC-32 for file 'a.jpg'"


@pytest.mark.parametrize("compress", [bytes, gzip.compress, bz2.compress, lzma.compress])
@pytest.mark.parametrize("keep", [0.3, 0.7, 0.95])
def test_tar_cut_short_is_refused(tmp_path: Path, compress: Callable[[bytes], bytes], keep: float) -> None:
    noise = [(tar_info(f"{number}.jpg"), bytes(number * i % 251 for i in range(7_000))) for number in range(5)]
    archive = write_tar(tmp_path / "a.tar", noise)
    whole = compress(archive.read_bytes()[: 5 * 7_680 + 1_024])  # a header and whole blocks each, then the end mark
    archive.write_bytes(whole[: int(len(whole) * keep)])
    assert "cannot be unpacked: " in refused(archive)


def test_damage_that_only_the_compression_knows_of_is_refused(tmp_path: Path) -> None:
    archive = write_tar(tmp_path / "a.tar", [(tar_info("a.jpg"), b"good bytes")])
    whole = gzip.compress(archive.read_bytes())
    archive.write_bytes(whole[:-8] + struct.pack("<I", 1) + whole[-4:])
    assert refused(archive).startswith("cannot be unpacked: CRC check failed")


@pytest.mark.parametrize("content", [b"", b"<html>please log in</html>", b"PK\x03\x04 and nothing more"])
def test_other_files_are_refused(tmp_path: Path, content: bytes) -> None:
    archive = tmp_path / "a.zip"
    archive.write_bytes(content)
    expected = (
        "cannot be unpacked: File is not a zip file"
        if content.startswith(b"PK")
        else "neither a zip nor a tar archive (.tar, .tar.gz, .tar.bz2, .tar.xz)"
    )
    assert refused(archive) == expected


def test_archive_without_files_is_refused(tmp_path: Path) -> None:
    assert refused(write_zip(tmp_path / "a.zip", [("a/", b""), ("a/.DS_Store", b"x")])) == "holds no files"


BEYOND = (
    "with it the files have more than the 1,000 bytes allowed; if they are what they should be, unpack the archive "
    "yourself and give the folder"
)


@pytest.mark.parametrize("kind", ["zip", "tar", "tar.gz"])
def test_sizes_that_add_up_to_too_much_are_refused_before_writing(tmp_path: Path, kind: str) -> None:
    if kind == "zip":
        archive = write_zip(tmp_path / "a.zip", [("a.jpg", bytes(600)), ("b.jpg", bytes(500))])
    else:
        archive = write_tar(tmp_path / "a.tar", [(tar_info("a.jpg"), bytes(600)), (tar_info("b.jpg"), bytes(500))])
    if kind == "tar.gz":
        archive.write_bytes(gzip.compress(archive.read_bytes()))
    assert refused(archive, largest_bytes=1_000) == f"b.jpg: {BEYOND}"
    assert list((tmp_path / "out").iterdir()) == []


def test_bytes_are_counted_as_they_come(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = write_zip(tmp_path / "a.zip", [("a.jpg", b"little")])
    monkeypatch.setattr(zipfile.ZipFile, "open", lambda *_: io.BytesIO(bytes(5_000_000)))  # more than the header says
    assert refused(archive, largest_bytes=1_000) == f"a.jpg: {BEYOND}"
    assert (tmp_path / "out" / "a.jpg").stat().st_size <= 1_000


def test_more_than_is_free_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: namedtuple("usage", "total used free")(9, 0, 999))
    assert refused(write_zip(tmp_path / "a.zip", [("a.jpg", bytes(1_000))])) == (
        "a.jpg: with it the files have more than the 999 bytes free on the disk"
    )


def test_too_many_members_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive_module, "_MOST_MEMBERS", 2)
    archive = write_zip(tmp_path / "a.zip", [(f"{number}.jpg", b"1") for number in range(3)])
    assert refused(archive) == "2.jpg: comes after 2 others, which is the most"


@pytest.mark.parametrize("size", [1 << 33, -512])
def test_tar_header_that_claims_our_memory_is_refused(tmp_path: Path, size: int) -> None:
    header = tar_info("long", kind=tarfile.XHDTYPE)
    header.size = size
    archive = tmp_path / "a.tar"
    archive.write_bytes(header.tobuf(tarfile.GNU_FORMAT) + bytes(10_240))
    assert refused(archive) == f"cannot be unpacked: a header claims {size:,} bytes"


def test_file_that_is_there_already_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a.jpg").symlink_to(tmp_path / "mine.jpg")
    with pytest.raises(CatalogError, match=r"a\.zip: a\.jpg: cannot be unpacked: File exists$"):
        unpack(write_zip(tmp_path / "a.zip", [("a.jpg", b"1")]), tmp_path / "out")
    assert not (tmp_path / "mine.jpg").exists()

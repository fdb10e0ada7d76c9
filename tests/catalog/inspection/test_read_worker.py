"""Facts of one image file."""

import hashlib
from pathlib import Path

import numpy as np
from PIL import Image

from simtrain.catalog.inspection.read_worker import inspect_file


def save_grey(path: Path, *, level: int, size: tuple[int, int] = (6, 4)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (level, level, level)).save(path)
    return path


def test_facts_of_a_readable_file(tmp_path: Path) -> None:
    path = save_grey(tmp_path / "a.png", level=7)
    facts, small = inspect_file(path, side=32, largest_pixels=10_000)
    assert (facts.width, facts.height, facts.problem, facts.note, facts.contrast) == (6, 4, None, None, 0)
    assert facts.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert facts.pixel_sha256 == hashlib.sha256(b"4x6:" + bytes([7]) * 72).hexdigest()
    assert small is not None
    assert small.tolist() == np.full((4, 6, 3), 7).tolist()


def test_size_is_that_after_the_turn(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 8
    Image.new("RGB", (6, 4)).save(tmp_path / "a.jpg", exif=exif)
    facts, _ = inspect_file(tmp_path / "a.jpg", side=32, largest_pixels=10_000)
    assert (facts.width, facts.height) == (4, 6)


def test_pixels_tell_equal_pictures_in_different_files(tmp_path: Path) -> None:
    png, bmp, other, turned = (
        inspect_file(path, side=32, largest_pixels=10_000)[0]
        for path in (
            save_grey(tmp_path / "a.png", level=7),
            save_grey(tmp_path / "a.bmp", level=7),
            save_grey(tmp_path / "b.png", level=8),
            save_grey(tmp_path / "c.png", level=7, size=(4, 6)),
        )
    )
    assert png.sha256 != bmp.sha256
    assert png.pixel_sha256 == bmp.pixel_sha256
    assert len({png.pixel_sha256, other.pixel_sha256, turned.pixel_sha256}) == 3


def test_contrast_is_the_largest_range_of_a_channel(tmp_path: Path) -> None:
    picture = np.full((64, 64, 3), 100, dtype=np.uint8)
    picture[:32, :, 1] = 180
    Image.fromarray(picture).save(tmp_path / "a.png")
    assert inspect_file(tmp_path / "a.png", side=32, largest_pixels=10_000)[0].contrast == 80


def test_problem_does_not_repeat_the_path(tmp_path: Path) -> None:
    gone, _ = inspect_file(tmp_path / "gone.jpg", side=32, largest_pixels=10_000)
    assert (gone.problem, gone.sha256, gone.width) == ("no such image", "", 0)
    (tmp_path / "page.jpg").write_text("<html>")
    page, small = inspect_file(tmp_path / "page.jpg", side=32, largest_pixels=10_000)
    assert (
        page.problem
        == "not an image, or of a kind that Pillow does not know: it is a web page; the download went wrong"
    )
    assert page.sha256 == hashlib.sha256(b"<html>").hexdigest()
    assert small is None

"""Reading every image once: facts, duplicates, and nothing lost on the way through processes."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from simtrain.catalog.inspect import (
    duplicate_conflicts,
    duplicate_groups,
    inspect_image,
    inspect_images,
    single_image_labels,
)
from simtrain.catalog.progress import Item, silent


def save_grey(path: Path, *, level: int, size: tuple[int, int] = (6, 4)) -> Path:
    Image.new("RGB", size, (level, level, level)).save(path)
    return path


def test_facts_of_a_readable_file(tmp_path: Path) -> None:
    path = save_grey(tmp_path / "a.png", level=7)
    facts = inspect_image(path)
    assert (facts.width, facts.height, facts.problem) == (6, 4, None)
    assert facts.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_size_is_that_after_the_turn(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 8
    Image.new("RGB", (6, 4)).save(tmp_path / "a.jpg", exif=exif)
    facts = inspect_image(tmp_path / "a.jpg")
    assert (facts.width, facts.height) == (4, 6)


def test_pixels_tell_equal_pictures_in_different_files(tmp_path: Path) -> None:
    png = inspect_image(save_grey(tmp_path / "a.png", level=7))
    bmp = inspect_image(save_grey(tmp_path / "a.bmp", level=7))
    other = inspect_image(save_grey(tmp_path / "b.png", level=8))
    turned = inspect_image(save_grey(tmp_path / "c.png", level=7, size=(4, 6)))
    assert png.sha256 != bmp.sha256
    assert png.pixel_sha256 == bmp.pixel_sha256
    assert len({png.pixel_sha256, other.pixel_sha256, turned.pixel_sha256}) == 3


def test_problem_does_not_repeat_the_path(tmp_path: Path) -> None:
    facts = inspect_image(tmp_path / "gone.jpg")
    assert (facts.problem, facts.sha256, facts.width) == ("no such image", "", 0)


@pytest.mark.parametrize("workers", [1, 2])
def test_order_is_kept_whoever_reads(tmp_path: Path, workers: int) -> None:
    paths = [save_grey(tmp_path / f"{level}.png", level=level, size=(level + 1, 2)) for level in range(100)]
    paths[50].write_bytes(b"")
    facts = inspect_images(paths, workers=workers, progress=silent)
    assert [fact.width for fact in facts] == [*range(1, 51), 0, *range(52, 101)]


def test_progress_sees_every_image(tmp_path: Path) -> None:
    seen: list[object] = []

    def note(items: Iterable[Item], total: int, description: str, /) -> Iterable[Item]:
        seen.extend([total, description])
        for item in items:
            seen.append("image")
            yield item

    inspect_images([save_grey(tmp_path / "a.png", level=1)] * 3, workers=1, progress=note)
    assert seen == [3, "reading images", "image", "image", "image"]


def test_interruption_stops_the_processes(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    path = tmp_path / "a.png"
    Image.fromarray(generator.integers(0, 256, (32, 32, 3), dtype=np.uint8)).save(path)

    def interrupt(items: Iterable[Item], _total: int, _description: str, /) -> Iterable[Item]:
        for _ in items:
            raise KeyboardInterrupt
        return []

    with pytest.raises(KeyboardInterrupt):
        inspect_images([path] * 5000, workers=2, progress=interrupt)


def test_duplicates_are_named_by_the_smallest_id() -> None:
    assert duplicate_groups(["d", "b", "c", "a"], ["1", "1", "2", "1"]) == ["a", "a", None, "a"]


def test_duplicates_with_different_values_are_findings() -> None:
    ids, groups = ["a", "b", "c", "d", "e"], ["a", "a", "c", "c", None]
    assert duplicate_conflicts(ids, groups, ["x", "x", "x", None, "y"], column="label") == [
        {"kind": "duplicates_differ", "column": "label", "ids": ["c", "d"], "values": ["x", None]}
    ]


def test_labels_of_one_image_are_findings() -> None:
    assert single_image_labels(["b", "b", None, "z", "a"]) == [
        {"kind": "label_with_one_image", "label": "a"},
        {"kind": "label_with_one_image", "label": "z"},
    ]

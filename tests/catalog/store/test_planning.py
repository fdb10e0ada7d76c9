"""Which store fits: arithmetic on sizes."""

from pathlib import Path

import pytest
from PIL import Image

from simtrain.catalog.store.planning import plan_store


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """Ten pictures of 200 × 100, stored as 100 × 50: 15,000 bytes raw each, 3,000 as JPEG."""
    for number in range(10):
        Image.new("L", (200, 100)).save(tmp_path / f"{number}.png")
    return sorted(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("free", "kind"), [(600_000, "raw"), (599_999, "jpeg"), (60_000, "jpeg"), (59_998, "none"), (0, "none")]
)
def test_kind_by_the_free_disk(files: list[Path], free: int, kind: str) -> None:
    assert plan_store(files, side=50, free_bytes=free).kind == kind


def test_many_raw_pixels_become_jpeg_however_large_the_disk(files: list[Path]) -> None:
    plan = plan_store(files * 29_000, side=50, free_bytes=10**15)
    assert (plan.kind, plan.reason) == (
        "jpeg",
        "raw pixels would take 4.3 GB, JPEG 0.9 GB",
    )


def test_reasons_for_a_person(files: list[Path]) -> None:
    assert plan_store(files, side=50, free_bytes=10**6).reason == "about 0 MB of raw pixels"
    assert (
        plan_store(files, side=50, free_bytes=0).reason == "even JPEG would take 0 MB, more than half of the free disk"
    )


def test_files_that_are_no_images_take_no_room(files: list[Path], tmp_path: Path) -> None:
    (tmp_path / "page.png").write_text("<html>")
    assert plan_store([*files, tmp_path / "page.png"], side=50, free_bytes=4 * 11 * 15_000).kind == "raw"

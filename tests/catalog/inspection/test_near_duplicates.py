"""What counts as the same picture: planted copies are found, look-alikes are not."""

import io
from collections import Counter
from collections.abc import Callable
from typing import TypeVar

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from recording_console import RecordingConsole

from simtrain.catalog.inspection.near_duplicates import FINGERPRINT_BYTES, NearDuplicate, fingerprint, near_duplicates

Pixels = NDArray[np.uint8]
Item = TypeVar("Item")


def scene(seed: int, *, height: int = 240, width: int = 240) -> Pixels:
    """Coloured discs and boxes on a soft background: no two seeds look alike."""
    rng = np.random.default_rng(seed)
    base = rng.uniform(60, 200, (4, 4, 3)).astype(np.float32)
    pixels = cv2.resize(base, (width, height), interpolation=cv2.INTER_CUBIC).clip(0, 255).astype(np.uint8)
    for _ in range(14):
        colour = rng.integers(0, 256, 3).tolist()
        x, y = int(rng.integers(width)), int(rng.integers(height))
        size = int(rng.integers(8, 50))
        if rng.random() < 0.5:
            cv2.circle(pixels, (x, y), size, colour, -1, cv2.LINE_AA)
        else:
            cv2.rectangle(pixels, (x, y), (x + size, y + 2 * size), colour, -1, cv2.LINE_AA)
    return pixels


def shirt(colour: tuple[int, int, int], *, text: str = "", sleeve: int = 60) -> Pixels:
    """A T-shirt on white."""
    pixels = np.full((288, 288, 3), 255, np.uint8)
    outline = [(90, 60), (198, 60), (198 + sleeve, 130), (225, 150), (200, 125), (200, 250), (88, 250), (88, 125)]
    outline += [(63, 150), (90 - sleeve, 130)]
    cv2.fillPoly(pixels, [np.array(outline, np.int32)], colour, cv2.LINE_AA)
    cv2.circle(pixels, (144, 60), 22, (255, 255, 255), -1, cv2.LINE_AA)
    cv2.putText(pixels, text, (96, 180), cv2.FONT_HERSHEY_SIMPLEX, 1.1, (255, 255, 255), 3, cv2.LINE_AA)
    return pixels


def resized(pixels: Pixels, factor: float, *, stretch: float = 0.0) -> Pixels:
    height, width, _ = pixels.shape
    size = (round(width * factor * (1 + stretch)), round(height * factor))
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC))


def compressed(pixels: Pixels, quality: int) -> Pixels:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file))


def cropped(pixels: Pixels, kept: float, *, down: float = 0.5, right: float = 0.5) -> Pixels:
    height, width, _ = pixels.shape
    tall, wide = round(height * kept), round(width * kept)
    top, left = round((height - tall) * down), round((width - wide) * right)
    return pixels[top : top + tall, left : left + wide]


def prints(*images: Pixels) -> NDArray[np.uint8]:
    return np.stack([np.frombuffer(fingerprint(np.ascontiguousarray(image)), np.uint8) for image in images])


def pairs(*images: Pixels, mirrored: bool = False, loose: bool = False) -> list[tuple[int, int]]:
    found = near_duplicates(prints(*images), mirrored=mirrored, loose=loose)
    return [(near.first, near.second) for near in found]


COPIES: dict[str, Callable[[Pixels], Pixels]] = {
    "half": lambda pixels: resized(pixels, 0.5),
    "one and a half": lambda pixels: resized(pixels, 1.5),
    "rounded aspect": lambda pixels: resized(pixels, 0.8, stretch=0.01),
    "quality 50": lambda pixels: compressed(pixels, 50),
    "half, quality 50": lambda pixels: compressed(resized(pixels, 0.5), 50),
    "95 % of the centre": lambda pixels: cropped(pixels, 0.95),
    "95 % at the top left": lambda pixels: cropped(pixels, 0.95, down=0, right=0),
    "95 % at the bottom right": lambda pixels: cropped(pixels, 0.95, down=1, right=1),
    "90 % of the centre": lambda pixels: cropped(pixels, 0.9),
    "90 % of the centre, smaller, quality 70": lambda pixels: compressed(resized(cropped(pixels, 0.9), 0.7), 70),
}


@pytest.mark.parametrize("kind", COPIES)
def test_copy_among_other_pictures_is_found(kind: str) -> None:
    scenes = [scene(seed) for seed in range(12)]
    copies = [COPIES[kind](pixels) for pixels in scenes]
    assert pairs(*scenes, *copies) == [(row, row + 12) for row in range(12)]


@pytest.mark.parametrize("kind", ["half", "quality 50", "90 % of the centre"])
def test_copy_is_found_whichever_comes_first(kind: str) -> None:
    original = scene(1)
    copy = COPIES[kind](original)
    assert pairs(original, copy) == pairs(copy, original) == [(0, 1)]


def test_mirror_image_counts_only_if_asked_for() -> None:
    original, other = scene(1), scene(2)
    flipped = compressed(np.ascontiguousarray(original[:, ::-1]), 70)
    assert pairs(original, other, flipped) == []
    found = near_duplicates(prints(original, other, flipped), mirrored=True, loose=False)
    assert [(near.first, near.second, near.mirrored) for near in found] == [(0, 2, True)]


@pytest.mark.parametrize("corner", [(0, 0), (0, 1), (1, 0), (1, 1)])
@pytest.mark.parametrize("first", [0, 1])
def test_corner_of_a_mirror_image_is_found_whichever_comes_first(corner: tuple[int, int], first: int) -> None:
    original = scene(7)
    copy = cropped(np.ascontiguousarray(original[:, ::-1]), 0.95, down=corner[0], right=corner[1])
    assert pairs(*[original, copy][:: 1 - 2 * first], mirrored=True) == [(0, 1)]


def test_pair_alike_both_ways_is_not_mirrored() -> None:
    half = scene(3)[:, :120]
    symmetric = np.concatenate([half, half[:, ::-1]], axis=1)
    found = near_duplicates(prints(symmetric, compressed(symmetric, 60)), mirrored=True, loose=False)
    assert [near.mirrored for near in found] == [False]


@pytest.mark.parametrize("channel", [0, 1, 2])
def test_other_colour_of_a_product_is_another_picture(channel: int) -> None:
    colour = [120, 120, 120]
    other = colour.copy()
    other[channel] += 40
    assert pairs(shirt((120, 120, 120)), shirt((other[0], other[1], other[2]))) == []


def test_other_print_on_a_product_is_another_picture() -> None:
    assert pairs(shirt((30, 60, 140), text="NORTH"), shirt((30, 60, 140), text="SOUTH")) == []


def test_other_cut_of_a_product_is_another_picture() -> None:
    assert pairs(shirt((30, 30, 30), sleeve=60), shirt((30, 30, 30), sleeve=45)) == []


def test_moved_product_is_another_picture() -> None:
    still = shirt((30, 60, 140))
    assert pairs(still, np.roll(still, 9, axis=1)) == []


def cupboard(*, knob: bool) -> Pixels:
    """A door on a foot, with or without a small knob."""
    pixels = np.full((128, 128, 3), 240, np.uint8)
    cv2.rectangle(pixels, (44, 10), (84, 118), (90, 90, 90), -1)
    cv2.rectangle(pixels, (34, 104), (94, 118), (60, 60, 60), -1)
    if knob:
        cv2.circle(pixels, (64, 60), 2, (134, 134, 134), -1, cv2.LINE_AA)
    return pixels


def test_small_part_that_one_picture_lacks_tells_them_apart() -> None:
    assert pairs(cupboard(knob=False), cupboard(knob=True)) == []


@pytest.mark.parametrize("knob", [False, True])
def test_compression_does_not_pass_for_a_small_part(knob: bool) -> None:
    assert pairs(cupboard(knob=knob), compressed(cupboard(knob=knob), 50)) == [(0, 1)]


def test_turned_picture_is_another_picture() -> None:
    assert pairs(scene(4), np.ascontiguousarray(np.rot90(scene(4)))) == []


@pytest.mark.parametrize("loose", [False, True])
def test_plain_pictures_are_never_paired(loose: bool) -> None:
    ramp = np.broadcast_to(np.linspace(90, 160, 200).astype(np.uint8)[:, None], (200, 200, 3))
    white = np.full((200, 200, 3), 255, np.uint8)
    assert pairs(white, white, ramp, ramp.transpose(1, 0, 2), ramp, loose=loose) == []


def test_equal_fingerprints_are_paired_with_the_first_alone() -> None:
    found = near_duplicates(prints(scene(1), scene(2), scene(1), scene(1)), mirrored=False, loose=False)
    equal = [NearDuplicate(first=0, second=row, similarity=1.0, mirrored=False) for row in (2, 3)]
    assert found == equal


def test_similarity_falls_with_compression() -> None:
    found = near_duplicates(
        prints(scene(5), compressed(scene(5), 90), compressed(scene(5), 30)), mirrored=False, loose=True
    )
    similarity = {(near.first, near.second): near.similarity for near in found}
    assert 1 > similarity[0, 1] > similarity[0, 2] > 0.2


def test_doubtful_pairs_are_told_by_their_similarity() -> None:
    still, rough = scene(6, height=160, width=160), compressed(scene(6, height=160, width=160), 15)
    assert pairs(still, rough) == []
    found = near_duplicates(prints(still, rough), mirrored=False, loose=True)
    assert [0.2 <= near.similarity < 0.5 for near in found] == [True]


def test_more_copies_than_are_compared_with_one_hang_together() -> None:
    kinds = [
        compressed(resized(cropped(scene(9), kept), factor), quality)
        for kept in (1, 0.97, 0.94)
        for factor in (0.4, 0.5, 0.6, 0.75, 1.3)
        for quality in (50, 60, 70, 80, 90)
    ]
    near = pairs(*kinds, *[scene(seed) for seed in range(10, 20)])
    assert max(Counter(row for pair in near for row in pair).values()) > 32
    reached = {0}
    for _ in kinds:
        reached |= {row for pair in near if reached & set(pair) for row in pair}
    assert reached == set(range(len(kinds)))


def test_copies_that_fill_more_than_a_box_hang_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("simtrain.catalog.inspection.candidates._BOX", 8)
    monkeypatch.setattr("simtrain.catalog.inspection.candidates._MOST_CANDIDATES", 2)
    near = pairs(*[compressed(scene(9), 40 + 2 * step) for step in range(30)])
    assert len(near) <= 2 * 30
    reached = {0}
    for _ in range(30):
        reached |= {row for pair in near if reached & set(pair) for row in pair}
    assert reached == set(range(30))


@pytest.mark.parametrize(("mirrored", "searches"), [(False, 1), (True, 2)])
def test_progress_is_told_part_by_part(mirrored: bool, searches: int) -> None:
    console = RecordingConsole()
    every = prints(*[scene(seed, height=64, width=64) for seed in range(520)])
    near_duplicates(every, mirrored=mirrored, loose=False, console=console)
    descriptions = ["looking for near duplicates", "looking for mirrored copies"]
    assert console.bars == [(description, 2, 2) for description in descriptions[:searches]]  # three boxes, two at once


def test_order_of_the_images_changes_nothing_but_the_rows() -> None:
    images = [scene(seed) for seed in range(130)] + [COPIES["90 % of the centre"](scene(seed)) for seed in range(130)]
    every = prints(*images)
    order = np.random.default_rng(0).permutation(len(every))
    shuffled = near_duplicates(every[order], mirrored=False, loose=False)
    assert {tuple(sorted((order[near.first], order[near.second]))) for near in shuffled} == {
        (near.first, near.second) for near in near_duplicates(every, mirrored=False, loose=False)
    }


@pytest.mark.parametrize("threads", [1, 3])
def test_number_of_threads_changes_nothing(threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    every = prints(*[scene(seed, height=64, width=64) for seed in range(280)] * 2)
    every[280:, 5] ^= 1
    expected = near_duplicates(every, mirrored=False, loose=True)
    assert len(expected) > 250
    monkeypatch.setattr("simtrain.catalog.inspection.near_duplicates._THREADS", threads)
    assert near_duplicates(every, mirrored=False, loose=True) == expected


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (300, 1), (28, 28), (2, 2000)])
def test_picture_of_any_size_has_a_fingerprint(size: tuple[int, int]) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    assert len(fingerprint(pixels)) == FINGERPRINT_BYTES
    assert pairs(pixels) == []


def test_no_images_have_no_pairs() -> None:
    assert near_duplicates(np.empty((0, FINGERPRINT_BYTES), np.uint8), mirrored=True, loose=True) == []


def test_fingerprints_of_another_length_are_refused() -> None:
    with pytest.raises(ValueError, match=r"^fingerprints is \(3, 64\); it has to be \(N, 1156\)$"):
        near_duplicates(np.zeros((3, 64), np.uint8), mirrored=False, loose=False)

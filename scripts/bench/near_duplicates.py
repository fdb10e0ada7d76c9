"""Plants near duplicates among a folder of real images; tells how many are found, and how many pairs are wrong.

    python scripts/bench/near_duplicates.py FOLDER [--images 5000] [--planted 500] [--mirrored] [--show FILE.png]
    python scripts/bench/near_duplicates.py FOLDER --pieces 100000 [--images 5000] [--mirrored]

The second form tells how long a search among so many pictures takes, and what memory: random pieces of the images,
turned, mirrored, their channels exchanged. Pieces of one image may overlap, so that not every pair it finds is wrong.
Every pair of two different files counts as wrong, although a folder may hold near duplicates of its own: look at them
with `--show`.
"""

import argparse
import io
import resource
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from simtrain.catalog.images import IMAGE_SUFFIXES, read_image
from simtrain.catalog.inspection.near_duplicates import (
    FINGERPRINT_BYTES,
    NearDuplicate,
    fingerprint,
    near_duplicates,
)

Pixels = NDArray[np.uint8]
STORED_SIDE = 288
SHOWN_SIDE, SHOWN_PAIRS, PAIRS_ACROSS = 128, 24, 4


def main() -> None:
    """Print a line for the originals alone and one per kind of copy."""
    options = arguments()
    paths = sorted(path for path in options.folder.rglob("*") if path.suffix.lower() in IMAGE_SUFFIXES)
    paths = [paths[place] for place in evenly(len(paths), options.images)]
    if options.pieces:
        search_pieces(paths, options)
        return
    originals = fingerprints([read_image(path) for path in paths])
    began = time.perf_counter()
    found = near_duplicates(originals, mirrored=options.mirrored, loose=options.loose)
    print(f"{len(paths)} images compared in {time.perf_counter() - began:.1f} s")
    print(line("originals alone", right=None, wrong=len(found), images=len(paths)))
    if options.show:
        draw([(paths[near.first], paths[near.second]) for near in found[:SHOWN_PAIRS]], options.show)
    sources = evenly(len(paths), options.planted)
    for kind, planted in COPIES.items():
        copies = fingerprints([planted(read_image(paths[row])) for row in sources])
        prints = np.concatenate([originals, copies])
        found = near_duplicates(prints, mirrored=options.mirrored, loose=options.loose)
        right, wrong = counted(found, [*range(len(paths)), *sources])
        print(line(kind, right=right / len(sources), wrong=wrong, images=len(prints)))


def search_pieces(paths: Sequence[Path], options: argparse.Namespace) -> None:
    """Print the time and the peak memory of a search among many pieces of images."""
    prints = fingerprints_of_pieces(paths, options.pieces)
    before = peak_megabytes()
    began = time.perf_counter()
    found = near_duplicates(prints, mirrored=options.mirrored, loose=options.loose)
    told = f"{len(prints)} pieces compared in {time.perf_counter() - began:.1f} s, {len(found)} pairs"
    print(f"{told}; peak memory {peak_megabytes():.0f} MB, {before:.0f} MB before")


def fingerprints_of_pieces(paths: Sequence[Path], count: int) -> NDArray[np.uint8]:
    """Of random pieces, as many of each image, of 45 to 80 % of its sides; (N, `FINGERPRINT_BYTES`)."""
    dice = np.random.default_rng(0)
    prints = np.empty((count, FINGERPRINT_BYTES), np.uint8)
    for number, path in enumerate(paths):
        picture = reduced(read_image(path))
        for place in range(number, count, len(paths)):
            down, right = dice.uniform(size=2)
            piece = cropped(picture, dice.uniform(0.45, 0.8), down=down, right=right)
            piece = np.rot90(piece, int(dice.integers(4)))[:, :: dice.choice([-1, 1]), dice.permutation(3)]
            prints[place] = np.frombuffer(fingerprint(np.ascontiguousarray(piece)), np.uint8)
    return prints


def peak_megabytes() -> float:
    """The most memory that this process has held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--images", type=int, default=5000, help="so many of the folder, evenly spread")
    parser.add_argument("--planted", type=int, default=500, help="copies of each kind")
    parser.add_argument("--pieces", type=int, help="time a search among so many pieces instead")
    parser.add_argument("--mirrored", action="store_true", help="look for mirror images too")
    parser.add_argument("--loose", action="store_true", help="count doubtful pairs too")
    parser.add_argument("--show", type=Path, help="PNG file for the first pairs among the originals")
    return parser.parse_args()


def evenly(total: int, count: int) -> list[int]:
    """So many places, evenly spread, or all."""
    return [int(place) for place in np.linspace(0, total - 1, min(count, total))]


def fingerprints(images: Sequence[Pixels]) -> NDArray[np.uint8]:
    """Of images as the store would reduce them, (N, `FINGERPRINT_BYTES`)."""
    return np.stack([np.frombuffer(fingerprint(reduced(image)), np.uint8) for image in images])


def counted(found: Sequence[NearDuplicate], source: Sequence[int]) -> tuple[int, int]:
    """Sources that are paired with their copies, and pairs of different sources."""
    right = {source[near.first] for near in found if source[near.first] == source[near.second]}
    return len(right), sum(source[near.first] != source[near.second] for near in found)


def line(kind: str, *, right: float | None, wrong: int, images: int) -> str:
    """One line of the report."""
    share = f"{right:8.1%} found" if right is not None else " " * 14
    return f"{kind:26}{share}{wrong:7} wrong pairs, {1000 * wrong / images:.2f} per 1,000 images"


def reduced(pixels: Pixels) -> Pixels:
    """The image with a shorter side of at most `STORED_SIDE` pixels."""
    factor = STORED_SIDE / min(pixels.shape[:2])
    return pixels if factor >= 1 else resized(pixels, factor)


def resized(pixels: Pixels, factor: float, *, stretch: float = 0.0) -> Pixels:
    """Another size, and slightly another aspect; averaged where it shrinks."""
    height, width, _ = pixels.shape
    size = (max(1, round(width * factor * (1 + stretch))), max(1, round(height * factor)))
    interpolation = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
    return cv2.resize(pixels, size, interpolation=interpolation).astype(np.uint8)


def lanczos_half(pixels: Pixels) -> Pixels:
    """Half the size by another filter."""
    image = Image.fromarray(pixels)
    size = (max(1, image.width // 2), max(1, image.height // 2))
    return np.asarray(image.resize(size, Image.Resampling.LANCZOS))


def compressed(pixels: Pixels, quality: int) -> Pixels:
    """Through a JPEG file, colour at half the resolution."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file))


def cropped(pixels: Pixels, kept: float, *, down: float = 0.5, right: float = 0.5) -> Pixels:
    """A share of each side; what is cut off is cut at the top by the share `down`, at the left by `right`."""
    height, width, _ = pixels.shape
    tall, wide = max(1, round(height * kept)), max(1, round(width * kept))
    top, left = round((height - tall) * down), round((width - wide) * right)
    return np.ascontiguousarray(pixels[top : top + tall, left : left + wide])


def draw(pairs: Sequence[tuple[Path, Path]], target: Path) -> None:
    """Pairs side by side, `PAIRS_ACROSS` in a row."""
    if not pairs:
        return
    side = (SHOWN_SIDE, SHOWN_SIDE)
    rows = -(-len(pairs) // PAIRS_ACROSS)
    sheet = Image.new("RGB", ((2 * SHOWN_SIDE + 8) * PAIRS_ACROSS, (SHOWN_SIDE + 8) * rows), "red")
    for number, pair in enumerate(pairs):
        for half, path in enumerate(pair):
            left = (2 * SHOWN_SIDE + 8) * (number % PAIRS_ACROSS) + SHOWN_SIDE * half
            sheet.paste(
                Image.fromarray(read_image(path)).resize(side), (left, (SHOWN_SIDE + 8) * (number // PAIRS_ACROSS))
            )
    sheet.save(target)


COPIES: dict[str, Callable[[Pixels], Pixels]] = {
    "half": lambda pixels: resized(pixels, 0.5),
    "half, Lanczos": lanczos_half,
    "1.5 times": lambda pixels: resized(pixels, 1.5),
    "70 %, aspect + 2 %": lambda pixels: resized(pixels, 0.7, stretch=0.02),
    "quality 50": lambda pixels: compressed(pixels, 50),
    "half, quality 50": lambda pixels: compressed(resized(pixels, 0.5), 50),
    "95 %, centre": lambda pixels: cropped(pixels, 0.95),
    "95 %, corner": lambda pixels: cropped(pixels, 0.95, down=1, right=0),
    "90 %, centre": lambda pixels: cropped(pixels, 0.9),
    "95 %, centre, quality 50": lambda pixels: compressed(cropped(pixels, 0.95), 50),
    "90 %, 70 %, quality 70": lambda pixels: compressed(resized(cropped(pixels, 0.9), 0.7), 70),
    "mirrored": lambda pixels: np.ascontiguousarray(pixels[:, ::-1]),
}

if __name__ == "__main__":
    main()

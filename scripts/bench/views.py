"""Times training views, from files and from the image store, beside lightly and albumentations with OpenCV.

    OMP_NUM_THREADS=1 python scripts/bench/views.py [FOLDER] [--side 224] [--images 200] [--rounds 5]

Two views of each picture, of the SimCLR recipe and of the preset `affine`; and what the loading processes do where a
device makes the views from their pictures (`augmentation.device: trainer`). Each figure is pictures for a second of one
core's processor time: the median over rounds in which the ways take turns. Without a folder of photographs it draws
JPEGs of 600 to 1,000 pixels. lightly is measured where it is installed.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import albumentations as A
import cv2
import numpy as np
from PIL import Image

import simtrain
from simtrain.catalog.store.reader import ImageReader, open_images, source_images
from simtrain.catalog.table import read_catalog
from simtrain.console import SILENT
from simtrain.data.albumentations_views import parts_transform
from simtrain.data.batch import Draw
from simtrain.data.datasets import TrainingPictures, TrainingViews
from simtrain.data.presets import PRESETS
from simtrain.data.transforms import PartViews, ViewTransform
from simtrain.encoders.preprocessing import Preprocessing

Way = Callable[[int], object]


def main() -> None:
    """Print one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", help="JPEGs; drawn where none is named")
    parser.add_argument("--side", type=int, default=224, help="pixels of a view")
    parser.add_argument("--images", type=int, default=200, help="pictures of a round")
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    cv2.setNumThreads(0)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(given.folder) if given.folder else drawn(Path(scratch) / "pictures", count=given.images)
        catalog = Path(scratch) / "catalog"
        store = {"store.kind": "raw", "store.side": round(given.side * 9 / 7)}
        simtrain.prepare(folder, catalog, overrides=store, console=SILENT)
        measure(catalog, given)


def measure(catalog: Path, given: argparse.Namespace) -> None:
    """Time every way in turns, and print what each does beside the first."""
    table = read_catalog(catalog)
    files, stored = source_images(table), open_images(table, smallest=given.side).reader
    paths = [str(path) for path in files.paths[: given.images]]
    ways: dict[str, Way] = {}
    if find_spec("lightly") is not None:
        ways["simclr: lightly, from files"] = of_lightly(paths, given.side)
    ways["simclr: albumentations and OpenCV, from files"] = of_albumentations(paths, given.side)
    for preset in ("simclr", "affine"):
        for source, reader in (("files", files), ("the store", stored)):
            for name, transform in (
                ("fused", PartViews(PRESETS[preset], image_size=given.side)),
                ("albumentations, each part", parts_transform(PRESETS[preset], image_size=given.side)),
            ):
                ways[f"{preset}: simtrain {name}, from {source}"] = of_simtrain(reader, transform, given.side)
            for_device = of_simtrain(reader, PartViews(PRESETS[preset], image_size=given.side), given.side, device=True)
            ways[f"{preset}: simtrain, pictures for a device, from {source}"] = for_device
    rates: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(given.rounds):
        for name, way in ways.items():
            began = time.process_time()
            for place in range(len(paths)):
                way(place)
            rates[name].append(len(paths) / (time.process_time() - began))
    first = statistics.median(rates[next(iter(ways))])
    print(f"{'two views of a picture':62}{'pictures/s':>11}{'lowest':>8}{'highest':>9}{'times the first':>17}")
    for name, found in rates.items():
        middle = statistics.median(found)
        print(f"{name:62}{middle:11.0f}{min(found):8.0f}{max(found):9.0f}{middle / first:17.2f}")


def of_simtrain(reader: ImageReader, transform: ViewTransform, side: int, *, device: bool = False) -> Way:
    """As the loading processes of a run make them, or the pictures from which a device does."""
    preprocessing = Preprocessing(
        image_size=side, resize="pad", interpolation="bicubic", mean=(0, 0, 0), std=(1, 1, 1), flip_averaging=False
    )
    views = (TrainingPictures if device else TrainingViews)(
        images=reader,
        labels=np.zeros(100_000, dtype=np.int64),
        views=2,
        preprocessing=preprocessing,
        transform=transform,
        seed=0,
    )
    return lambda place: views.__getitems__([Draw(rows=(place,), epoch=0, position=place)])


def of_albumentations(paths: list[str], side: int) -> Way:
    """A plain script: one decode by OpenCV, two views, uint8."""
    compose = A.Compose(
        [
            A.RandomResizedCrop(size=(side, side), scale=(PRESETS["simclr"].crop, 1.0)),
            A.HorizontalFlip(p=0.5),
            A.ColorJitter(brightness=0.8, contrast=0.8, saturation=0.8, hue=0.2, p=0.8),
            A.ToGray(p=0.2),
            A.GaussianBlur(blur_limit=(max(3, side // 10 | 1),) * 2, sigma_limit=(0.1, 2.0), p=0.5),
        ]
    )

    def made(place: int) -> object:
        read = cv2.imread(paths[place])
        assert read is not None
        picture = cv2.cvtColor(read, cv2.COLOR_BGR2RGB)
        return [compose(image=picture)["image"] for _ in range(2)]

    return made


def of_lightly(paths: list[str], side: int) -> Way:
    """Its transform as its tutorials use it, on Pillow's decode."""
    from lightly.transforms.simclr_transform import SimCLRTransform

    transform = SimCLRTransform(input_size=side)

    def made(place: int) -> object:
        with Image.open(paths[place]) as image:
            return transform(image.convert("RGB"))

    return made


def drawn(folder: Path, *, count: int) -> Path:
    """JPEGs of about 100 KB, of soft shapes on white."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    for number in range(count):
        height, width = rng.integers(600, 1001, size=2)
        shapes = cv2.resize(rng.integers(0, 256, (9, 9, 3), dtype=np.uint8), (int(width), int(height)))
        grain = cv2.GaussianBlur(rng.normal(0, 60, (height, width, 3)).astype(np.float32), (0, 0), 1.2)
        down, across = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
        inside = (np.abs(down) < 0.8) & (np.abs(across) < 0.8)
        picture = np.where(inside[..., None], np.clip(shapes + grain, 0, 255), 255).astype(np.uint8)
        Image.fromarray(picture).save(folder / f"{number}.jpg", quality=90)
    return folder


if __name__ == "__main__":
    main()

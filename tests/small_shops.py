"""Small folders and tables of pictures, and `prepare` on them."""

import csv
from pathlib import Path

import numpy as np
from PIL import Image
from recording_console import RecordingConsole

from simtrain.catalog.prepare_report import PrepareReport
from simtrain.commands.prepare import prepare
from simtrain.config import load_prepare_config


def save_noise(path: Path, *, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng(seed)
    Image.fromarray(generator.integers(0, 256, (12, 16, 3), dtype=np.uint8)).save(path)


def class_folders(root: Path, *, labels: int = 3, images: int = 5) -> Path:
    for label in range(labels):
        for image in range(images):
            save_noise(root / f"label{label}" / f"{image}.png", seed=label * images + image)
    return root


def write_table(root: Path, rows: list[dict[str, str]]) -> Path:
    with (root / "table.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return root / "table.csv"


def run(source: Path | str, out: Path, *settings: str) -> PrepareReport:
    return prepare(str(source), out=out, config=load_prepare_config(None, ["workers=1", *settings]))


def snapshot(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def product_rows(root: Path, splits: list[str]) -> list[dict[str, str]]:
    """Two images for each product; `splits` holds those of the products' second images, the first are for training."""
    rows = []
    for number, second in enumerate(splits):
        for view, split in enumerate(("train", second)):
            save_noise(root / f"{number}_{view}.png", seed=number * 2 + view)
            rows.append({"path": f"{number}_{view}.png", "product": f"p{number}", "split": split})
    return rows


def interrupting_console() -> RecordingConsole:
    """As if Ctrl-C were pressed at the fourth item of a bar."""

    def interrupt(number: int) -> None:
        if number == 4:
            raise KeyboardInterrupt

    return RecordingConsole(on_item=interrupt)

"""What the command line is given: configurations and folders of pictures."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import yaml
from PIL import Image

Command = Callable[..., tuple[int, str, str]]
"""Arguments -> exit status, standard output, standard error."""

SMALL_CATALOG = ("--set", "synthetic.views=4", "--set", "synthetic.image_size=48", "--set", "workers=1")


def write_config(path: Path, **sections: object) -> Path:
    tree = {
        "catalog": "catalog",
        "encoder": {"kind": "timm", "model": "test_efficientnet", "weights": "none", "image_size": 32},
        "objective": {"kind": "triplet", "positive": "product"},
        "data": {"batch_size": 16, "workers": 0},
        "trainer": {"epochs": 1, "accelerator": "cpu"},
        "evaluation": {"bootstrap_draws": 100},
        "export": {"onnx": False},
    }
    path.write_text(yaml.safe_dump({**tree, **sections}))
    return path


def write_shop(folder: Path, *, classes: dict[str, int]) -> Path:
    """A folder of class folders with so many pictures each."""
    generator = np.random.default_rng(0)
    for name, count in classes.items():
        (folder / name).mkdir(parents=True)
        for number in range(count):
            pixels = generator.integers(0, 256, (40, 40, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{number}.jpg")
    return folder


def everything_below(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def last_line(text: str) -> str:
    return text.splitlines()[-1]

"""A tree like the Digikala colour set, with everything that such downloads contain, through the whole of `prepare`."""

import io
import json
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image, ImageDraw

from simtrain.commands.prepare import prepare
from simtrain.config import load_prepare_config

COLOURS = {
    "black": (20, 20, 20),
    "blue": (30, 60, 200),
    "brown": (120, 70, 30),
    "green": (30, 140, 50),
    "grey": (128, 128, 128),
    "orange": (240, 140, 20),
    "pink": (240, 140, 190),
    "purple": (130, 40, 160),
    "red": (210, 20, 30),
    "silver": (192, 192, 200),
    "white": (240, 240, 240),
    "yellow": (240, 220, 30),
}
EACH = 4
NAMES = ("1.jpg", "2.jpeg", "3.JPG", "تی شرت آستین بلند ۴.JpEg")


def product(colour: str, *, seed: int, size: tuple[int, int] = (224, 224)) -> Image.Image:
    """A shape of its own of that colour, on white, as shops picture it."""
    generator = np.random.default_rng(seed)
    image = Image.new("RGB", size, "white")
    angles = np.sort(generator.uniform(0, 2 * np.pi, 9))
    radii = generator.uniform(0.4, 0.95, 9)
    corners = np.stack([np.cos(angles), np.sin(angles)], axis=1) * radii[:, None] * 0.5 + 0.5
    draw = ImageDraw.Draw(image)
    draw.polygon([(x * size[0], y * size[1]) for x, y in corners.tolist()], fill=COLOURS[colour], outline="black")
    return image


def encoded(image: Image.Image, kind: str, **settings: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **settings)
    return file.getvalue()


def sixteen_bits(image: Image.Image) -> Image.Image:
    return Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 257)


def palette_with_alpha(image: Image.Image) -> bytes:
    return encoded(image.quantize(16), "PNG", transparency=bytes([0, 128] + [255] * 14))


def turned_by_exif(image: Image.Image) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6
    return encoded(image, "JPEG", exif=exif)


def bomb() -> bytes:
    """A PNG of a few bytes that says of itself that it has 60,000 by 60,000 pixels."""
    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(bytes(1_000))), (b"IEND", b""))
    written = [
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in chunks
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(written)


def unusual() -> dict[str, bytes]:
    """Files that can be read, each in a way of its own."""
    frames = [product("silver", seed=900 + frame) for frame in range(3)]
    return {
        "train/grey/one band.jpg": encoded(product("grey", seed=901).convert("L"), "JPEG"),
        "train/orange/cmyk.jpg": encoded(product("orange", seed=902).convert("CMYK"), "JPEG"),
        "train/pink/شفاف.png": palette_with_alpha(product("pink", seed=903)),
        "train/purple/16 bit.png": encoded(sixteen_bits(product("purple", seed=904)), "PNG"),
        "train/red/turned.jpg": turned_by_exif(product("red", seed=905, size=(224, 160))),
        "train/silver/moving.GIF": encoded(frames[0], "GIF", save_all=True, append_images=frames[1:]),
    }


def broken() -> dict[str, bytes]:
    """Files that cannot be read."""
    whole = encoded(product("yellow", seed=906), "JPEG")
    return {
        "train/black/bomb.jpg": bomb(),
        "train/blue/page.jpg": b"<!DOCTYPE html><html><body>404 Not Found</body></html>",
        "train/white/empty.jpeg": b"",
        "train/yellow/cut.jpg": whole[: len(whole) // 2],
    }


def stats(root: Path) -> dict[str, tuple[int, bytes]]:
    files = [path for path in root.rglob("*") if path.is_file()]
    return {path.relative_to(root).as_posix(): (path.stat().st_mtime_ns, path.read_bytes()) for path in files}


@dataclass
class Prepared:
    """What the one run of these tests has left."""

    rows: pd.DataFrame
    told: dict[str, Any]
    usual: dict[str, str]
    before: dict[str, tuple[int, bytes]]
    after: dict[str, tuple[int, bytes]]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    folder = tmp_path_factory.mktemp("digikala")
    usual = {f"train/{colour}/{name}": colour for colour in COLOURS for name in NAMES}
    contents = {path: encoded(product(colour, seed=seed), "JPEG") for seed, (path, colour) in enumerate(usual.items())}
    for path, content in (contents | unusual() | broken()).items():
        (folder / "source" / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / "source" / path).write_bytes(content)
    before = stats(folder / "source")
    config = load_prepare_config(None, ["workers=1", "near_duplicates.find=false"])
    report = prepare(str(folder / "source"), out=folder / "out", config=config)
    told = json.loads((folder / "out" / "findings.json").read_text(encoding="utf-8"))
    rows = report.catalog.rows.set_index("path")
    return Prepared(rows=rows, told=told, usual=usual, before=before, after=stats(folder / "source"))


def test_every_readable_file_is_in_with_its_colour(prepared: Prepared) -> None:
    expected = prepared.usual | {path: path.split("/")[1] for path in unusual()}
    assert prepared.rows["label"].to_dict() == expected
    assert len(expected) == 12 * EACH + 6
    assert set(prepared.rows["label"]) == set(COLOURS)


def test_every_unreadable_file_is_told_with_its_reason(prepared: Prepared) -> None:
    reasons = {
        finding["path"]: finding["reason"] for finding in prepared.told["findings"] if finding["kind"] == "unreadable"
    }
    beginnings = {
        "train/black/bomb.jpg": "too many pixels: Image size (3600000000 pixels) exceeds limit of ",
        "train/blue/page.jpg": "not an image, or of a kind that Pillow does not know",
        "train/white/empty.jpeg": "not an image, or of a kind that Pillow does not know",
        "train/yellow/cut.jpg": "cannot be read as an image: image file is truncated",
    }
    assert sorted(reasons) == sorted(beginnings)
    for path, beginning in beginnings.items():
        assert reasons[path].startswith(beginning)


def test_counts_add_up(prepared: Prepared) -> None:
    counts = prepared.told["counts"]
    assert (counts["found"], counts["unreadable"], counts["images"]) == (12 * EACH + 10, 4, 12 * EACH + 6)
    assert counts["labels"] == 12


def test_sizes_are_those_that_a_person_sees(prepared: Prepared) -> None:
    sizes = prepared.rows[["width", "height"]]
    assert sizes.loc["train/red/turned.jpg"].tolist() == [160, 224]
    assert set(map(tuple, sizes.drop(index="train/red/turned.jpg").to_numpy().tolist())) == {(224, 224)}


def test_the_only_folder_of_a_split_is_divided(prepared: Prepared) -> None:
    assert set(prepared.rows["split"]) == {"train", "val", "test"}


def test_source_is_left_as_it_was(prepared: Prepared) -> None:
    assert len(prepared.before) == 12 * EACH + 10
    assert prepared.after == prepared.before

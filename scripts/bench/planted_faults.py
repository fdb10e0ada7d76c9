"""Plants faults of every kind among real images, runs `simtrain prepare`, and counts which were found.

    python scripts/bench/planted_faults.py IMAGES [--images 5000] [--each 20] [--product-pattern REGEX]

IMAGES is a folder of sound images. Pairs of near duplicates that were not planted are listed with the share that
concerns one product (by the pattern), to be looked at: real folders hold real duplicates.
"""

import argparse
import csv
import io
import json
import random
import re
import struct
import sys
import tempfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from simtrain.catalog.prepare_report import FINDINGS_FILE
from simtrain.commands.prepare import prepare
from simtrain.config import PrepareConfig

COLUMNS = ("path", "product", "label", "caption", "split")


@dataclass(kw_only=True)
class Plant:
    """A folder with a table, and what was planted in it.

    Attributes:
        folder: Where images and table go.
        rows: Of the table.
        planted: Kind of fault -> what findings must name: ids, or frozensets of two ids.
    """

    folder: Path
    rows: list[dict[str, str]] = field(default_factory=list)
    planted: dict[str, list[object]] = field(default_factory=dict)

    def add(self, name: str, content: bytes, **values: str) -> str:
        """A row and its file; returns its id."""
        path = self.folder / "images" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        row = {"path": f"images/{name}", "product": f"product of {name}", "label": "", "caption": "", "split": ""}
        self.rows.append({**row, **values})
        return row["path"]

    def expect(self, kind: str, what: object) -> None:
        """Note a planted fault."""
        self.planted.setdefault(kind, []).append(what)


def main() -> None:
    """Plant, prepare, count."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--images", type=int, default=5000, help="sound images to take")
    parser.add_argument("--each", type=int, default=20, help="faults of each kind")
    parser.add_argument("--product-pattern", default=r"(.+)", help="one group: the product in a file's name")
    parser.add_argument("--mirrored", action="store_true", help="plant and look for mirrored copies too")
    parser.add_argument("--keep", type=Path, help="folder to leave everything in")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.keep or Path(temporary)
        plant = plant_faults(arguments, folder)
        write_table(plant)
        config = PrepareConfig.model_validate({"near_duplicates": {"mirrored": arguments.mirrored}})
        prepare(str(folder / "table.csv"), out=folder / "out", config=config)
        findings = json.loads((folder / "out" / FINDINGS_FILE).read_text(encoding="utf-8"))["findings"]
        sys.exit(0 if told(plant, findings, pattern=arguments.product_pattern) else 1)


def plant_faults(arguments: argparse.Namespace, folder: Path) -> Plant:
    """Copy sound images and plant `each` faults of each kind."""
    dice = random.Random(0)
    suffixes = {".jpg", ".jpeg", ".png"}
    sound = sorted(path for path in arguments.folder.rglob("*") if path.suffix.lower() in suffixes)
    dice.shuffle(sound)
    sound = sound[: arguments.images]
    plant = Plant(folder=folder)
    pattern = re.compile(arguments.product_pattern)
    ids = []
    for number, path in enumerate(sound):
        found = pattern.search(path.name)
        product = found.group(1) if found else path.name
        values = {"product": product, "label": f"label {number % 12}", "caption": f"picture {number} of {path.stem}"}
        ids.append(plant.add(f"sound/{path.name}", path.read_bytes(), **values))
    print(f"{len(sound)} sound images")
    take = iter(dice.sample(list(zip(sound, ids, strict=True)), len(sound)))
    plant_unreadable(plant, take, each=arguments.each)
    plant_copies(plant, take, each=arguments.each, mirrored=arguments.mirrored)
    plant_odd_pictures(plant, each=arguments.each)
    plant_odd_rows(plant, take, each=arguments.each)
    return plant


def plant_unreadable(plant: Plant, take: object, *, each: int) -> None:
    """Zero bytes, half a file, a page, a decompression bomb."""
    half: Callable[[bytes], bytes] = lambda content: content[: len(content) // 2]  # noqa: E731
    kinds: dict[str, Callable[[bytes], bytes]] = {
        "zero bytes": lambda _: b"",
        "truncated": half,
        "a page": lambda _: b"<!doctype html><title>404</title>",
        "bomb": lambda _: bomb(),
    }
    for kind, spoil in kinds.items():
        for number in range(each):
            path, _ = next(take)  # type: ignore[call-overload]
            plant.expect(f"unreadable: {kind}", plant.add(f"bad/{kind} {number}.jpg", spoil(path.read_bytes())))


def plant_copies(plant: Plant, take: object, *, each: int, mirrored: bool) -> None:
    """Exact and near copies of sound images, with the copied image's product and label unless the kind says other."""
    exact: dict[str, Callable[[Image.Image, bytes], bytes]] = {
        "same bytes": lambda _, content: content,
        "same pixels": lambda image, _: saved(image, "PNG", compress_level=1),
        "same pixels, with alpha": lambda image, _: saved(opaque(image), "PNG"),
    }
    near: dict[str, Callable[[Image.Image, bytes], bytes]] = {
        "half size": lambda image, _: saved(scaled(image, 0.5), "PNG"),
        "1.5 times the size": lambda image, _: saved(scaled(image, 1.5), "PNG"),
        "JPEG of quality 50": lambda image, _: saved(image, "JPEG", quality=50),
        "half size, JPEG of quality 50": lambda image, _: saved(scaled(image, 0.5), "JPEG", quality=50),
        "centre without 5 % of each side's length": lambda image, _: saved(cropped(image, 0.025), "PNG"),
        "centre without 5 % on each edge": lambda image, _: saved(cropped(image, 0.05), "PNG"),
    }
    if mirrored:
        near["mirrored"] = lambda image, _: saved(image.transpose(Image.Transpose.FLIP_LEFT_RIGHT), "PNG")
    rows = {row["path"]: row for row in plant.rows}
    for family, kinds in (("exact_duplicates", exact), ("near_duplicates", near)):
        for kind, change in kinds.items():
            for number in range(each):
                path, identifier = next(take)  # type: ignore[call-overload]
                content = path.read_bytes()
                with Image.open(io.BytesIO(content)) as opened:
                    copy = change(opened.convert("RGB"), content)
                own = {name: rows[identifier][name] for name in ("product", "label")}
                added = plant.add(f"copies/{kind} {number}{suffix_of(copy)}", copy, caption=f"{kind} {number}", **own)
                plant.expect(f"{family}: {kind}", frozenset({identifier, added}))
    for number in range(each):
        path, identifier = next(take)  # type: ignore[call-overload]
        added = plant.add(
            f"copies/label {number}{path.suffix}", path.read_bytes(), label="label of the copy", caption="x"
        )
        plant.expect("duplicates_differ: another label", frozenset({identifier, added}))


def plant_odd_pictures(plant: Plant, *, each: int) -> None:
    """Tiny, very long, blank."""
    generator = np.random.default_rng(0)
    for number in range(each):
        side = 8 + number
        noise = generator.integers(0, 256, (side, side, 3), dtype=np.uint8)
        plant.expect("tiny_images: small", plant.add(f"odd/tiny {number}.png", saved(Image.fromarray(noise), "PNG")))
        strip = generator.integers(0, 256, (80 + number, 80 * 6, 3), dtype=np.uint8)
        plant.expect(
            "extreme_aspect_images: long", plant.add(f"odd/long {number}.png", saved(Image.fromarray(strip), "PNG"))
        )
        flat = np.full((200, 200 + number, 3), generator.integers(0, 256, 3), dtype=np.float64)
        noisy = np.clip(flat + generator.normal(0, 2, flat.shape), 0, 255).astype(np.uint8)
        plant.expect(
            "blank_images: flat",
            plant.add(f"odd/blank {number}.jpg", saved(Image.fromarray(noisy), "JPEG", quality=70)),
        )


def plant_odd_rows(plant: Plant, take: object, *, each: int) -> None:
    """Captions and products and labels; each on a sound image, or on a new one."""
    rows = {row["path"]: row for row in plant.rows}
    for number in range(each):
        _, identifier = next(take)  # type: ignore[call-overload]
        rows[identifier]["caption"] = ""
        plant.expect("captions_empty: empty", identifier)
        _, identifier = next(take)  # type: ignore[call-overload]
        rows[identifier]["caption"] = "the same words for different products"
        plant.expect("captions_repeated: identical", identifier)
        _, identifier = next(take)  # type: ignore[call-overload]
        rows[identifier]["caption"] = f"number {number}: " + "a very long description of a lovely product " * 12
        plant.expect("captions_over_77_tokens: long", identifier)
        _, identifier = next(take)  # type: ignore[call-overload]
        rows[identifier]["label"] = f"single {number}"
        plant.expect("label_with_one_image: single", identifier)
        one, other = next(take), next(take)  # type: ignore[call-overload]
        for (_, identifier), split in ((one, "train"), (other, "test")):
            rows[identifier]["product"] = f"straddling {number}"
            rows[identifier]["split"] = split
            plant.expect("groups_across_splits: product in two", identifier)


def told(plant: Plant, findings: list[dict[str, object]], *, pattern: str) -> bool:
    """Print recall of each kind and the near pairs that nobody planted; whether all bounds hold."""
    held = True
    for kind, expected in plant.planted.items():
        family = kind.partition(":")[0]
        found = [one for one in expected if is_found(one, family, findings)]
        recall = len(found) / len(expected)
        bound = 0.95 if family == "near_duplicates" else 1.0
        held &= recall >= bound
        print(
            f"{kind:70} {len(found):4} of {len(expected):4}  {100 * recall:5.1f} %{'' if recall >= bound else '  LOW'}"
        )
    planted = {one for kind, every in plant.planted.items() if "duplicates" in kind for one in every}
    groups = {one for kind, every in plant.planted.items() if kind.startswith("exact") for one in every}
    pairs = [finding["ids"] for finding in findings if finding["kind"] == "near_duplicates"]
    extra = [pair for pair in pairs if isinstance(pair, list) and frozenset(pair) not in planted | groups]
    product = {row["path"]: row["product"] for row in plant.rows}
    across = [pair for pair in extra if product[pair[0]] != product[pair[1]]]
    rate = 1000 * len(across) / len(plant.rows)
    print(
        f"near pairs that were not planted: {len(extra)}, of them {len(across)} of two products: "
        f"{rate:.2f} per 1,000 images (pattern {pattern})"
    )
    for pair in across[:40]:
        print("   ", *pair)
    return held and rate <= 1.0


def is_found(expected: object, family: str, findings: list[dict[str, object]]) -> bool:
    """Whether a finding of that kind names what was planted."""
    for finding in findings:
        if finding["kind"] != family:
            continue
        ids = finding.get("ids", [finding.get("id")])
        assert isinstance(ids, list)
        if expected <= set(ids) if isinstance(expected, frozenset) else expected in ids:
            return True
    return False


def write_table(plant: Plant) -> None:
    """The table, rows in random order."""
    random.Random(1).shuffle(plant.rows)
    with (plant.folder / "table.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=COLUMNS)
        writer.writeheader()
        writer.writerows(plant.rows)


def saved(image: Image.Image, kind: str, **options: int) -> bytes:
    """The bytes of a file."""
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def suffix_of(content: bytes) -> str:
    """By what it begins with."""
    return ".jpg" if content[:2] == b"\xff\xd8" else ".png"


def scaled(image: Image.Image, factor: float) -> Image.Image:
    """Another size."""
    return image.resize((round(image.width * factor), round(image.height * factor)), Image.Resampling.BICUBIC)


def cropped(image: Image.Image, share: float) -> Image.Image:
    """Without that share of the sides on each edge."""
    across, down = round(image.width * share), round(image.height * share)
    return image.crop((across, down, image.width - across, image.height - down))


def opaque(image: Image.Image) -> Image.Image:
    """With an alpha channel that hides nothing."""
    layered = image.copy()
    layered.putalpha(255)
    return layered


def bomb() -> bytes:
    """A small PNG that claims 60,000 × 60,000 pixels."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    rows = zlib.compress(b"\0" * 1000)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


if __name__ == "__main__":
    main()

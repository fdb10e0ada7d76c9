"""Fashion-MNIST from files of a few pictures, packed as its authors pack theirs."""

import csv
import gzip
import struct
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from recording_console import RecordingConsole
from small_tables import table_settings

from simtrain.catalog.sources.fashion_mnist import write_fashion_mnist
from simtrain.catalog.sources.table_source import read_table_source
from simtrain.console import SILENT
from simtrain.errors import CatalogError

TRAIN = np.random.default_rng(0).integers(0, 256, (11, 28, 28), dtype=np.uint8)
TEST = np.random.default_rng(1).integers(0, 256, (3, 28, 28), dtype=np.uint8)
NAMES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")


def idx_images(pictures: NDArray[np.uint8]) -> bytes:
    return b"\0\0\x08\x03" + struct.pack(">III", *pictures.shape) + pictures.tobytes()


def idx_labels(labels: list[int]) -> bytes:
    return b"\0\0\x08\x01" + struct.pack(">I", len(labels)) + bytes(labels)


CONTENTS = dict(
    zip(NAMES, (idx_images(TRAIN), idx_labels([*range(10), 9]), idx_images(TEST), idx_labels([7, 0, 1])), strict=True)
)


def write_files(folder: Path, *, compressed: bool = False, **changed: bytes | None) -> Path:
    """The four files; `changed` replaces those whose name begins with a key, None leaves them out."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in CONTENTS.items():
        replaced = changed.get(name.rpartition("-idx")[0].replace("-", "_"), content)
        if replaced is not None:
            path = folder / (f"{name}.gz" if compressed else name)
            path.write_bytes(gzip.compress(replaced) if compressed else replaced)
    return folder


def read_rows(manifest: Path) -> list[dict[str, str]]:
    with manifest.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def refused(place: Path) -> str:
    with pytest.raises(CatalogError) as told:
        write_fashion_mnist(place, place.parent / "written", console=SILENT)
    return str(told.value)


@pytest.mark.parametrize("below", [".", "raw", "FashionMNIST/raw", "usr/share/datasets/fashion-mnist"])
@pytest.mark.parametrize("compressed", [False, True])
def test_pictures_come_back_from_every_layout(tmp_path: Path, below: str, compressed: bool) -> None:
    write_files(tmp_path / "in" / below, compressed=compressed)
    manifest = write_fashion_mnist(tmp_path / "in", tmp_path / "out", console=SILENT)
    assert manifest == tmp_path / "out" / "manifest.csv"
    paths = [row["path"] for row in read_rows(manifest)]
    pictures = [np.asarray(Image.open(tmp_path / "out" / path)) for path in paths]
    np.testing.assert_array_equal(np.stack(pictures), np.concatenate([TRAIN, TEST]))
    assert paths[0] == "images/train/00000.png"
    assert paths[-1] == "images/test/00002.png"


def test_manifest_tells_class_caption_and_split(tmp_path: Path) -> None:
    rows = read_rows(write_fashion_mnist(write_files(tmp_path / "in"), tmp_path / "out", console=SILENT))
    assert [row["split"] for row in rows] == ["train"] * 11 + ["test"] * 3
    assert [row["class_id"] for row in rows] == [*"01234567899", *"701"]
    assert rows[0] == {
        "id": "train/00000",
        "path": "images/train/00000.png",
        "label": "T-shirt/top",
        "class_id": "0",
        "caption": "a photo of a t-shirt",
        "split": "train",
    }
    assert (rows[11]["id"], rows[11]["label"], rows[11]["caption"]) == ("test/00000", "Sneaker", "a photo of a sneaker")
    labels = "T-shirt/top Trouser Pullover Dress Coat Sandal Shirt Sneaker Bag Ankle_boot".replace("_", " ")
    assert " ".join(row["label"] for row in rows[:10]) == labels
    for row in rows[2:11]:
        assert row["label"].lower() in row["caption"]


def test_manifest_is_a_source(tmp_path: Path) -> None:
    manifest = write_fashion_mnist(write_files(tmp_path / "in"), tmp_path / "out", console=SILENT)
    source = read_table_source(manifest, settings=table_settings())
    assert len(source.rows) == 14
    assert source.findings == []
    assert all((source.root / path).is_file() for path in source.rows["path"])


def test_same_files_give_the_same_bytes(tmp_path: Path) -> None:
    written = []
    for out in (tmp_path / "one", tmp_path / "two"):
        write_fashion_mnist(write_files(tmp_path / "in"), out, console=SILENT)
        written.append({path.relative_to(out): path.read_bytes() for path in out.rglob("*") if path.is_file()})
    assert written[0] == written[1]
    assert len(written[0]) == 15


def test_progress_hears_of_every_picture(tmp_path: Path) -> None:
    console = RecordingConsole()
    write_fashion_mnist(write_files(tmp_path / "in"), tmp_path / "out", console=console)
    assert console.bars == [("writing images", 14, 14)]


def test_no_file_at_all_names_where_it_was_looked_for(tmp_path: Path) -> None:
    place = tmp_path / "in"
    assert refused(place) == (
        f"{place}: no Fashion-MNIST: looked for train-images-idx3-ubyte (or .gz) and three more in {place}, "
        f"{place}/raw, {place}/FashionMNIST/raw, {place}/usr/share/datasets/fashion-mnist"
    )


def test_missing_file_is_named(tmp_path: Path) -> None:
    place = write_files(tmp_path / "in", t10k_labels=None)
    assert refused(place) == (
        f"{place}/t10k-labels-idx1-ubyte: no such file, nor t10k-labels-idx1-ubyte.gz; Fashion-MNIST is four files in "
        "one folder"
    )


@pytest.mark.parametrize(
    ("changed", "name", "problem"),
    [
        ({"train_images": b"\0\0"}, NAMES[0], "cut short: 2 bytes"),
        ({"train_images": CONTENTS[NAMES[0]][:-1]}, NAMES[0], "its header tells of 8624 bytes, and 8623 follow"),
        ({"train_images": CONTENTS[NAMES[0]] + b"x"}, NAMES[0], "its header tells of 8624 bytes, and 8625 follow"),
        ({"train_labels": idx_labels([0] * 10)}, NAMES[1], "has 10 labels for 11 pictures"),
        (
            {"t10k_labels": idx_labels([0, 10, 1])},
            NAMES[3],
            "not of Fashion-MNIST: has a class 10; its classes are 0 to 9",
        ),
        (
            {"t10k_labels": CONTENTS[NAMES[2]]},
            NAMES[3],
            "not of Fashion-MNIST: begins with the number 2051, expected 2049",
        ),
        (
            {"t10k_images": idx_images(np.zeros((2, 32, 30), dtype=np.uint8))},
            NAMES[2],
            "not of Fashion-MNIST: its pictures have 30 x 32 pixels, not 28 x 28",
        ),
        (
            {"t10k_images": idx_images(np.zeros((0, 28, 28), dtype=np.uint8))},
            NAMES[2],
            "its header tells of 0 bytes, and 0 follow",
        ),
    ],
)
def test_foreign_and_damaged_files_are_refused(
    tmp_path: Path, changed: dict[str, bytes], name: str, problem: str
) -> None:
    place = write_files(tmp_path / "in", **changed)
    assert refused(place) == f"{place / name}: {problem}"
    assert not (tmp_path / "written").exists()


def test_header_that_claims_more_than_memory_is_refused(tmp_path: Path) -> None:
    place = write_files(tmp_path / "in", train_images=struct.pack(">IIII", 2051, 2**32 - 1, 2**32 - 1, 2**32 - 1))
    size = (2**32 - 1) ** 3
    assert refused(place) == f"{place / NAMES[0]}: its header tells of {size} bytes, and 0 follow"


CUT_SHORT = gzip.compress(CONTENTS[NAMES[0]], mtime=0)[:-100]  # without the time, which differs among processes


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"<html>", "Not a gzipped file (b'<h')"),
        (CUT_SHORT, "Compressed file ended before the end-of-stream marker was reached"),
    ],
)
def test_damaged_compression_is_refused(tmp_path: Path, content: bytes, problem: str) -> None:
    place = write_files(tmp_path / "in", compressed=True)
    (place / f"{NAMES[0]}.gz").write_bytes(content)
    assert refused(place) == f"{place / NAMES[0]}.gz: cannot be read: {problem}"


def test_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "written").write_text("a file")
    place = write_files(tmp_path / "in")
    assert refused(place) == f"{tmp_path / 'written'}: cannot be written to: Not a directory"

"""What the store gives back: the same pixels, checked; and files where it has none."""

import pickle
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from simtrain.catalog.store import reader
from simtrain.catalog.store.layout import RECORD_FILE
from simtrain.catalog.store.reader import SourceImages, StoredImages, open_images
from simtrain.catalog.table import Catalog
from simtrain.commands.prepare import prepare
from simtrain.config import load_prepare_config
from simtrain.errors import CatalogError

SIZES = [(40, 60), (64, 64), (200, 100), (33, 500)]


def smooth(height: int, width: int, *, seed: int) -> NDArray[np.uint8]:
    """A picture without sharp edges, which JPEG keeps well."""
    corners = np.random.default_rng(seed).integers(0, 256, (3, 3, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(corners).resize((width, height), Image.Resampling.BICUBIC))


def shop(folder: Path, *settings: str) -> Catalog:
    (folder / "images").mkdir(exist_ok=True)
    for number, (height, width) in enumerate(SIZES):
        if not (folder / "images" / f"{number}.png").exists():
            Image.fromarray(smooth(height, width, seed=number)).save(folder / "images" / f"{number}.png")
    config = load_prepare_config(None, ["workers=1", "store.side=64", *settings])
    return prepare(str(folder / "images"), out=folder / "out", config=config).catalog


def test_raw_pixels_are_the_picture_reduced_to_the_shorter_side(tmp_path: Path) -> None:
    catalog = shop(tmp_path, "store.kind=raw")
    opened = open_images(catalog, smallest=64)
    assert opened.description == "images: from the store (raw pixels, shorter side up to 64)"
    for row, (height, width) in enumerate(SIZES):
        whole = smooth(height, width, seed=row)
        found = opened.reader.read(row, at_least=None)
        if min(height, width) <= 64:
            np.testing.assert_array_equal(found, whole)
        else:
            assert found.shape == (128, 64, 3)
            box = np.asarray(Image.fromarray(whole).resize((64, 128), Image.Resampling.BOX)).astype(int)
            assert np.abs(found.astype(int) - box).max() <= 3  # two ways to average areas


def test_a_picture_given_out_can_be_changed_without_harm(tmp_path: Path) -> None:
    images = open_images(shop(tmp_path, "store.kind=raw"), smallest=64).reader
    images.read(0, at_least=None)[:] = 0
    np.testing.assert_array_equal(images.read(0, at_least=None), smooth(40, 60, seed=0))


def test_jpeg_is_near(tmp_path: Path) -> None:
    opened = open_images(shop(tmp_path, "store.kind=jpeg"), smallest=64)
    assert opened.description == "images: from the store (JPEG of quality 95, shorter side up to 64)"
    for row, (height, width) in enumerate(SIZES[:2]):
        difference = opened.reader.read(row, at_least=None).astype(int) - smooth(height, width, seed=row)
        assert np.abs(difference).mean() < 1.0


@pytest.mark.parametrize(
    ("settings", "smallest", "told"),
    [
        (["store.kind=none"], 64, "images: from the source's files (prepared with store.kind none)"),
        (
            [],
            96,
            "images: from the source's files, which is slower: the store keeps 64 pixels and the encoder takes 96; "
            "prepare with --set store.side=96 or more",
        ),
    ],
)
def test_files_are_read_where_the_store_does_not_suffice(
    tmp_path: Path, settings: list[str], smallest: int, told: str
) -> None:
    opened = open_images(shop(tmp_path, *settings), smallest=smallest)
    assert opened.description == told
    assert isinstance(opened.reader, SourceImages)
    np.testing.assert_array_equal(opened.reader.read(2, at_least=None), smooth(*SIZES[2], seed=2))


def test_a_catalogue_without_a_record_is_read_from_files(tmp_path: Path) -> None:
    catalog = shop(tmp_path)
    (catalog.folder / RECORD_FILE).unlink()
    opened = open_images(catalog, smallest=64)
    assert opened.description == "images: from the source's files (the catalogue has no image store)"


def test_a_store_that_is_truncated_while_it_is_read_is_an_error_and_no_signal(tmp_path: Path) -> None:
    catalog = shop(tmp_path, "store.kind=raw")
    images = open_images(catalog, smallest=64).reader
    for row in range(len(SIZES)):
        images.read(row, at_least=None)
    (shard,) = (catalog.folder / "images.raw").iterdir()
    with shard.open("r+b") as file:
        file.truncate(0)
    with pytest.raises(CatalogError) as caught:
        images.read(3, at_least=None)
    assert str(caught.value) == f"{shard}: the image store is damaged; run simtrain prepare again"


def test_the_store_outlives_its_source(tmp_path: Path) -> None:
    catalog = shop(tmp_path)
    (tmp_path / "images" / "1.png").unlink()
    np.testing.assert_array_equal(
        open_images(catalog, smallest=64).reader.read(1, at_least=None), smooth(64, 64, seed=1)
    )


def test_a_changed_file_is_an_error_and_a_touched_one_is_not(tmp_path: Path) -> None:
    catalog = shop(tmp_path)
    path = tmp_path / "images" / "1.png"
    path.touch()
    open_images(catalog, smallest=64)
    Image.fromarray(smooth(64, 64, seed=9)).save(path)
    with pytest.raises(CatalogError) as caught:
        open_images(catalog, smallest=64)
    assert str(caught.value) == f"{path}: changed since it was prepared; run simtrain prepare again"


def test_a_flipped_bit_is_found_when_it_is_read(tmp_path: Path) -> None:
    catalog = shop(tmp_path, "store.kind=raw")
    (shard,) = (catalog.folder / "images.raw").iterdir()
    content = bytearray(shard.read_bytes())
    content[40 * 60 * 3 + 5] ^= 1  # in the second picture
    shard.write_bytes(content)
    images = open_images(catalog, smallest=64).reader
    images.read(0, at_least=None)
    with pytest.raises(CatalogError) as caught:
        images.read(1, at_least=None)
    assert str(caught.value) == f"{shard}: the image store is damaged; run simtrain prepare again"


@pytest.mark.parametrize("damage", ["gone", "empty", "short"])
def test_a_lost_shard_is_found(tmp_path: Path, damage: str) -> None:
    catalog = shop(tmp_path, "store.kind=raw")
    (shard,) = (catalog.folder / "images.raw").iterdir()
    content = shard.read_bytes()
    shard.unlink() if damage == "gone" else shard.write_bytes(b"" if damage == "empty" else content[:-1])
    with pytest.raises(CatalogError, match=r"the image store is damaged; run simtrain prepare again$"):
        open_images(catalog, smallest=64).reader.read(3, at_least=None)


def test_a_reader_goes_to_another_process_without_its_open_files(tmp_path: Path) -> None:
    images = open_images(shop(tmp_path), smallest=64).reader
    images.read(0, at_least=None)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(images)).read(0, at_least=None), smooth(40, 60, seed=0))


def test_few_files_are_open_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "_OPEN_SHARDS", 1)
    monkeypatch.setattr("simtrain.catalog.inspection.reading.CHUNK_FILES", 1)
    images = open_images(shop(tmp_path), smallest=64).reader
    assert isinstance(images, StoredImages)
    for row in (0, 1, 2, 0, 1):
        assert images.read(row, at_least=None).shape[2] == 3
        assert len(images._maps) == 1

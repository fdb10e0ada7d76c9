"""Embedding by several processes: the same to the bit as by one, and nothing lost of a pass that was killed."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from recording_console import RecordingConsole
from tiny_training import TinyEncoder, draw_images
from typing_extensions import override

from simtrain.catalog.store.reader import SourceImages
from simtrain.console import SILENT, Console
from simtrain.data.embedding import EmbeddingSettings, embed_images
from simtrain.data.embedding_cache import EmbeddingCache
from simtrain.encoders.base import Encoder
from simtrain.errors import CatalogError
from simtrain.launch import shared_embedding
from simtrain.launch.shared_embedding import EmbeddingPass

CPU = torch.device("cpu")
COUNT = 26
NAME = "f" * 64


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return draw_images(tmp_path_factory.mktemp("images"), count=COUNT)


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_embedding, "IMAGES_OF_A_PROCESS", 8)
    monkeypatch.setattr(shared_embedding, "IMAGES_OF_A_BLOCK", 9)


def embedding_pass(paths: list[Path], *, encoder: Encoder | None = None, devices: int = 1, console: Console = SILENT):
    return EmbeddingPass(
        encoder=TinyEncoder() if encoder is None else encoder,
        images=SourceImages(paths=paths),
        settings=EmbeddingSettings(batch_size=4, workers=0, device=CPU, precision="32"),
        cards=range(devices),
        console=console,
    )


def by_one(paths: list[Path], rows: NDArray[np.int64]) -> torch.Tensor:
    settings = EmbeddingSettings(batch_size=4, workers=0, device=CPU, precision="32")
    return embed_images(TinyEncoder(), SourceImages(paths=paths), rows.tolist(), settings=settings, console=SILENT)


@pytest.mark.usefixtures("small_blocks")
def test_blocks_hold_whole_batches_and_give_what_one_pass_gives(paths: list[Path], tmp_path: Path) -> None:
    console, rows = RecordingConsole(), np.arange(COUNT)
    cache = EmbeddingCache(tmp_path, data="d" * 12)
    found = embedding_pass(paths, console=console).through(cache, NAME, rows)
    assert [total for _, total, _ in console.bars] == [2, 2, 2, 1]  # batches of 4 in blocks of 8
    assert torch.equal(found.vectors, by_one(paths, rows))
    assert (found.images, len(list(tmp_path.iterdir()))) == (COUNT, 1)


class Stops(SourceImages):
    """Cannot read one of its images."""

    @override
    def read(self, row: int, *, at_least: int | None) -> NDArray[np.uint8]:
        if row == 20:
            raise CatalogError("image 20: gone")
        return super().read(row, at_least=at_least)


@pytest.mark.usefixtures("small_blocks")
def test_a_pass_that_ends_badly_is_gone_on_with(paths: list[Path], tmp_path: Path) -> None:
    cache, rows = EmbeddingCache(tmp_path, data="d" * 12), np.arange(COUNT)
    broken = EmbeddingPass(**{**vars(embedding_pass(paths)), "images": Stops(paths=paths)})
    with pytest.raises(CatalogError, match="image 20: gone"):
        broken.through(cache, NAME, rows)
    later = EmbeddingCache(tmp_path, data="d" * 12)
    assert later.missing(NAME, rows).tolist() == list(range(16, COUNT))
    console = RecordingConsole()
    found = embedding_pass(paths, console=console).through(later, NAME, rows)
    assert sum(total for _, total, _ in console.bars) == 3
    assert torch.equal(found.vectors, by_one(paths, rows))
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize(
    ("devices", "images", "processes"), [(1, 100_000, 1), (8, 4_999, 1), (8, 12_000, 2), (8, 1_000_000, 8)]
)
def test_processes_are_as_many_as_they_are_worth(paths: list[Path], devices: int, images: int, processes: int) -> None:
    assert embedding_pass(paths, devices=devices)._processes(images) == processes


@pytest.mark.slow
@pytest.mark.usefixtures("small_blocks", "preloaded_processes")
def test_two_processes_give_what_one_gives_to_the_bit(paths: list[Path], tmp_path: Path) -> None:
    rows, cache = np.arange(COUNT), EmbeddingCache(tmp_path, data="d" * 12)
    console = RecordingConsole()
    found = embedding_pass(paths, devices=2, console=console).through(cache, NAME, rows)
    assert torch.equal(found.vectors, by_one(paths, rows))
    assert len(console.bars) == 2  # those of the first process
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.slow
@pytest.mark.usefixtures("small_blocks", "preloaded_processes")
def test_two_processes_embed_rows_in_the_order_that_is_asked_for(paths: list[Path]) -> None:
    rows = np.random.default_rng(0).permutation(COUNT)
    found = embedding_pass(paths, devices=2).embed(rows)
    assert torch.equal(found, by_one(paths, np.sort(rows))[torch.from_numpy(rows)])


@pytest.mark.slow
@pytest.mark.usefixtures("small_blocks", "preloaded_processes")
def test_what_a_process_cannot_read_is_told_and_the_rest_is_kept(paths: list[Path], tmp_path: Path) -> None:
    cache = EmbeddingCache(tmp_path, data="d" * 12)
    broken = EmbeddingPass(**{**vars(embedding_pass(paths, devices=2)), "images": Stops(paths=paths)})
    with pytest.raises(CatalogError, match="image 20: gone"):
        broken.through(cache, NAME, np.arange(COUNT))
    assert 20 in cache.missing(NAME, np.arange(COUNT)).tolist()


def _local_encoder() -> Callable[[], Encoder]:
    class Local(TinyEncoder):
        pass

    return Local


@pytest.mark.usefixtures("small_blocks")
def test_an_encoder_that_cannot_be_sent_to_others_embeds_here_and_is_told(paths: list[Path], tmp_path: Path) -> None:
    console = RecordingConsole()
    cache, rows = EmbeddingCache(tmp_path, data="d" * 12), np.arange(COUNT)
    found = embedding_pass(paths, encoder=_local_encoder()(), devices=2, console=console).through(cache, NAME, rows)
    assert torch.equal(found.vectors, by_one(paths, rows))
    told = "warning: one device of 2 embeds: the encoder cannot be sent to other processes: "
    assert [line[: len(told)] for line in console.lines] == [told]

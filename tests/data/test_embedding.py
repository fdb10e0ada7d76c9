"""Embedding files in their order, against the encoder on one image at a time."""

# Shapes: N images, D features.

import traceback
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from recording_console import RecordingConsole
from tiny_training import TinyEncoder, draw_images
from torch import Tensor

from simtrain.catalog.images import read_image
from simtrain.catalog.store.reader import SourceImages
from simtrain.console import SILENT, Console
from simtrain.data.embedding import EmbeddingSettings, embed_images, inference_device
from simtrain.encoders.arithmetic import FLOAT32, Precision
from simtrain.errors import CatalogError, CheckpointError, ConfigError

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return draw_images(tmp_path_factory.mktemp("images"), count=9, size=(24, 18))


def embed(encoder: TinyEncoder, paths: list[Path], *, batch_size: int = 4, workers: int = 0) -> Tensor:
    return embed_images(
        encoder,
        SourceImages(paths=paths),
        range(len(paths)),
        settings=EmbeddingSettings(batch_size=batch_size, workers=workers, device=CPU),
        console=SILENT,
    )


def one_by_one(encoder: TinyEncoder, paths: list[Path]) -> Tensor:
    """The network's definition, step by step: square on white, shrink, normalise, embed, divide by the length."""
    rows = []
    for path in paths:
        square = encoder.preprocessing.pixels(read_image(path)).astype(np.float32)
        pixels = torch.from_numpy((square / 255 - 0.5) / 0.5).permute(2, 0, 1)[None]
        with torch.no_grad():
            vector = encoder.eval().reduction(encoder.network(pixels))[0]
        rows.append(vector / vector.square().sum().sqrt())
    return torch.stack(rows)


@pytest.mark.parametrize("batch_size", [1, 4, 9, 100])
def test_equals_the_encoder_on_one_image_at_a_time(paths: list[Path], batch_size: int) -> None:
    encoder = TinyEncoder(embedding_size=5)
    torch.testing.assert_close(
        embed(encoder, paths, batch_size=batch_size), one_by_one(encoder, paths), rtol=1e-5, atol=1e-6
    )


def test_rows_are_float32_of_unit_length(paths: list[Path]) -> None:
    embeddings = embed(TinyEncoder(), paths)
    assert (embeddings.shape, embeddings.dtype) == ((9, 12), torch.float32)
    torch.testing.assert_close(embeddings.norm(dim=1), torch.ones(9))


def test_workers_keep_the_order(paths: list[Path]) -> None:
    encoder = TinyEncoder()
    torch.testing.assert_close(embed(encoder, paths, batch_size=2, workers=2), embed(encoder, paths, batch_size=2))


def test_rows_follow_the_order_of_the_files(paths: list[Path]) -> None:
    encoder = TinyEncoder()
    torch.testing.assert_close(embed(encoder, paths[::-1]), embed(encoder, paths).flip(0), rtol=1e-5, atol=1e-6)


def test_the_encoder_is_put_in_evaluation_mode(paths: list[Path]) -> None:
    encoder = TinyEncoder(dropout=0.5).train()
    before = encoder.network[1].running_mean.clone()
    torch.testing.assert_close(embed(encoder, paths), one_by_one(encoder, paths), rtol=1e-5, atol=1e-6)
    assert torch.equal(encoder.network[1].running_mean, before)


def test_embeddings_can_be_trained_on(paths: list[Path]) -> None:
    weight = torch.ones(12, requires_grad=True)
    (embed(TinyEncoder(), paths) * weight).sum().backward()
    assert weight.grad is not None


def test_progress_is_told_the_number_of_batches(paths: list[Path]) -> None:
    console = RecordingConsole()
    embed_images(
        TinyEncoder(),
        SourceImages(paths=paths),
        range(len(paths)),
        settings=EmbeddingSettings(batch_size=4, workers=0, device=CPU),
        console=console,
    )
    assert console.bars == [("embedding images", 3, 3)]


def test_no_images_give_no_rows() -> None:
    assert embed(TinyEncoder(), []).shape == (0, 12)


@pytest.mark.parametrize("workers", [0, 2])
def test_an_unreadable_image_is_named(tmp_path: Path, paths: list[Path], workers: int) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(paths[0].read_bytes()[:100])
    with pytest.raises(CatalogError) as caught:
        embed(TinyEncoder(), [*paths, broken], workers=workers)
    traceback.clear_frames(caught.tb)  # which hold the loading processes
    *_, told = str(caught.value).strip().splitlines()  # a process sends its traceback along, the message at its end
    assert told.removeprefix("simtrain.errors.CatalogError: ").startswith(f"{broken}: cannot be read as an image: ")


def test_a_missing_image_is_named(tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match=r"gone\.png: no such image$"):
        embed(TinyEncoder(), [tmp_path / "gone.png"])


@pytest.mark.parametrize(
    ("accelerator", "available", "expected"),
    [("cpu", True, "cpu"), ("gpu", True, "cuda"), ("auto", True, "cuda"), ("auto", False, "cpu")],
)
def test_the_device_of_an_accelerator(
    monkeypatch: pytest.MonkeyPatch, accelerator: str, available: bool, expected: str
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: available)
    assert inference_device(accelerator) == torch.device(expected)


def test_a_gpu_that_is_not_there_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    message = "accelerator: got 'gpu', but torch sees none here; allowed: auto, cpu"
    with pytest.raises(ConfigError, match=f"^{message}$"):
        inference_device("gpu")


class FilledEncoder(TinyEncoder):
    """Gives every image whose first pixel is black the same features."""

    def __init__(self, filling: float) -> None:
        super().__init__(embedding_size=None)
        self.filling = filling

    def features(self, images: Tensor) -> Tensor:
        found = super().features(images)
        dark = images[:, 0, 0, 0] < -0.99
        return torch.where(dark[:, None], torch.full_like(found, self.filling), found)


@pytest.fixture
def with_black(tmp_path: Path) -> list[Path]:
    paths = draw_images(tmp_path, count=3, size=(24, 24))
    Image.new("RGB", (24, 24)).save(tmp_path / "black.png")
    return [*paths, tmp_path / "black.png"]


def embed_filled(paths: list[Path], filling: float) -> tuple[Tensor, list[str]]:
    console = RecordingConsole()
    images, rows = SourceImages(paths=paths), range(len(paths))
    encoder = FilledEncoder(filling)
    settings = EmbeddingSettings(batch_size=2, workers=0, device=CPU)
    found = embed_images(encoder, images, rows, settings=settings, console=console)
    return found, console.lines


def test_embedding_without_length_is_similar_to_nothing_and_told(with_black: list[Path]) -> None:
    embeddings, lines = embed_filled(with_black, 0.0)
    assert embeddings[3].eq(0).all()
    assert embeddings[:3].norm(dim=1).tolist() == pytest.approx([1, 1, 1])
    assert lines == [
        f"warning: 1 of 4 images, such as {with_black[3]}, give an embedding of length 0 (a flat picture?) and are "
        "similar to nothing"
    ]


@pytest.mark.parametrize("filling", [float("nan"), float("inf")])
def test_embedding_that_is_no_number_is_refused(with_black: list[Path], filling: float) -> None:
    with pytest.raises(CheckpointError) as caught:
        embed_filled(with_black, filling)
    assert str(caught.value) == (
        f"the encoder gives no numbers (NaN or infinity) for 1 of 4 images, such as {with_black[3]}: its weights are "
        "damaged, or too large"
    )


def embed_in(encoder: TinyEncoder, paths: list[Path], precision: Precision, console: Console = SILENT) -> Tensor:
    settings = EmbeddingSettings(batch_size=4, workers=0, device=CPU, precision=precision)
    return embed_images(encoder, SourceImages(paths=paths), range(len(paths)), settings=settings, console=console)


def test_bf16_is_compared_with_float32_once_and_told(paths: list[Path]) -> None:
    encoder, console = TinyEncoder(embedding_size=5), RecordingConsole()
    exact = embed_in(encoder, paths, "32", console)
    assert (encoder.arithmetic, console.lines) == (FLOAT32, [])
    found = embed_in(encoder, paths, "bf16", console)
    assert found.dtype == torch.float32
    assert not torch.equal(found, exact)
    torch.testing.assert_close(found.norm(dim=1), torch.ones(9))
    lowest = float((found[:4].double() * exact[:4].double()).sum(dim=1).min())  # of the first batch
    assert encoder.arithmetic.precision == "bf16"
    assert encoder.arithmetic.images == 4
    assert encoder.arithmetic.lowest_cosine == pytest.approx(lowest, abs=1e-6)
    told = f"embedded in bf16: on 4 images the lowest cosine with float32 is {lowest:.4f}"
    assert console.lines == [told]
    embed_in(encoder, paths, "bf16", console)
    assert console.lines == [told]


def test_float32_again_is_float32_to_the_bit(paths: list[Path]) -> None:
    encoder = TinyEncoder()
    first = embed_in(encoder, paths, "32")
    embed_in(encoder, paths, "bf16")
    assert torch.equal(embed_in(encoder, paths, "32"), first)
    assert encoder.arithmetic == FLOAT32


class Overflowing(TinyEncoder):
    def features(self, images: Tensor) -> Tensor:
        return super().features(images) * torch.inf


def test_numbers_that_float16_does_not_hold_are_told_with_what_does(paths: list[Path]) -> None:
    with pytest.raises(ConfigError, match=r"^precision: got 16: the encoder gives no numbers .*; allowed: 32, bf16$"):
        embed_in(Overflowing(), paths, "16")

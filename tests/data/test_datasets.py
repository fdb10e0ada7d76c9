"""Views and images out of files, alone and through the loaders."""

# Shapes: B samples, V views, S = 16.

import os
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from tiny_training import PREPROCESSING, SIZE, draw_images

from simtrain.catalog.images import read_image
from simtrain.catalog.store import reader
from simtrain.catalog.store.reader import SourceImages
from simtrain.data.albumentations_views import AlbumentationsViews, custom_transform
from simtrain.data.batch import Batch, Draw
from simtrain.data.datasets import (
    CatalogImages,
    TrainingPictures,
    TrainingViews,
    image_loader,
    training_loader,
    worker_count,
)
from simtrain.data.presets import PRESETS
from simtrain.data.samplers import WHOLE, EpochBatches, grouped_plan, shuffled_plan
from simtrain.data.transforms import PartViews, ViewTransform, view_seed
from simtrain.encoders.preprocessing import Resize
from simtrain.errors import CatalogError

PLAIN = custom_transform([], image_size=SIZE)


class Recorder(AlbumentationsViews):
    """Resizes, and remembers the pictures that it was given."""

    def __init__(self) -> None:
        super().__init__(transforms=[], image_size=SIZE)
        self.seen: list[NDArray[np.uint8]] = []

    def __call__(self, source: NDArray[np.uint8], *, seed: int) -> NDArray[np.uint8]:
        self.seen.append(source)
        return PLAIN(source, seed=seed)


def training_views(
    paths: list[Path],
    *,
    views: int = 2,
    transform: ViewTransform | None = None,
    kind: type[TrainingViews] = TrainingViews,
    **changes: Any,
) -> Any:
    usual: dict[str, Any] = {
        "labels": np.arange(len(paths)) // 2,
        "preprocessing": PREPROCESSING,
        "transform": transform or PartViews(PRESETS["simclr"], image_size=SIZE),
        "seed": 7,
    }
    return kind(images=SourceImages(paths=paths), views=views, **{**usual, **changes})


def solid(path: Path, colour: tuple[int, int, int], *, size: tuple[int, int] = (20, 20)) -> Path:
    Image.new("RGB", size, colour).save(path)
    return path


def epochs_of(paths: list[Path], *, workers: int, epochs: int, seed: int = 7) -> list[list[Batch]]:
    batches = EpochBatches(plan=shuffled_plan(np.arange(len(paths)), batch_size=4, seed=3), share=WHOLE)
    loader = training_loader(training_views(paths, seed=seed), batches=batches, workers=workers, pin_memory=False)
    return [list(loader) for _ in range(epochs)]


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return draw_images(tmp_path_factory.mktemp("images"), count=10)


def counted_reads(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Path, int | None]]:
    """The reads that happen from here on."""
    reads: list[tuple[Path, int | None]] = []

    def counting(path: Path, *, at_least: int | None, largest_pixels: int | None) -> NDArray[np.uint8]:
        reads.append((path, at_least))
        return read_image(path, at_least=at_least, largest_pixels=largest_pixels)

    monkeypatch.setattr(reader, "read_image", counting)
    return reads


def views_of(dataset: TrainingViews, *rows: int, position: int = 0) -> NDArray[np.uint8]:
    """(V, S, S, 3), the views of one sample."""
    views: NDArray[np.uint8] = dataset.__getitems__([Draw(rows=rows, epoch=0, position=position)]).views[0].numpy()
    return views


def test_two_views_of_an_image_are_one_decode(paths: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    reads = counted_reads(monkeypatch)
    views_of(training_views(paths), 3)
    assert [path for path, _ in reads] == [paths[3]]
    assert reads[0][1] == PartViews(PRESETS["simclr"], image_size=SIZE).source_side(
        [view_seed(seed=7, epoch=0, position=0, view=view) for view in range(2)]
    )


def test_two_views_of_two_images_are_two_decodes(paths: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    reads = counted_reads(monkeypatch)
    views_of(training_views(paths), 3, 2)
    assert [path for path, _ in reads] == [paths[3], paths[2]]


@pytest.mark.parametrize(("rows", "expected"), [((3,), (3, 3)), ((2, 3), (2, 3))])
def test_a_sample_knows_its_label_and_the_rows_of_its_views(
    paths: list[Path], rows: tuple[int, ...], expected: tuple[int, int]
) -> None:
    batch = training_views(paths).__getitems__([Draw(rows=rows, epoch=0, position=0)])
    assert (batch.labels.tolist(), batch.rows.tolist()) == ([1], [list(expected)])


def test_each_view_of_a_pair_is_of_its_own_image(tmp_path: Path) -> None:
    paths = [solid(tmp_path / "red.png", (200, 0, 0)), solid(tmp_path / "blue.png", (0, 0, 200))]
    views = views_of(training_views(paths, transform=PLAIN), 1, 0)
    np.testing.assert_array_equal(views.mean(axis=(1, 2)), [[0, 0, 200], [200, 0, 0]])


def test_the_two_views_of_a_sample_differ(paths: list[Path]) -> None:
    dataset = training_views(paths)
    for position in range(20):
        views = views_of(dataset, 0, position=position)
        assert not np.array_equal(views[0], views[1])


def test_two_samples_of_one_image_in_a_batch_differ(paths: list[Path]) -> None:
    groups = {0: np.array([0]), 1: np.array([1])}
    plan = grouped_plan(groups, groups_per_batch=2, images_per_group=4, within=None, seed=0)
    dataset = training_views(paths, views=1)
    (batch,) = training_loader(dataset, batches=EpochBatches(plan=plan, share=WHOLE), workers=0, pin_memory=False)
    assert sorted(batch.rows[:, 0].tolist()) == [0, 0, 0, 0, 1, 1, 1, 1]
    assert len({view.numpy().tobytes() for view in batch.views}) == 8


@pytest.mark.parametrize("resize", ["pad", "crop", "squash"])
def test_a_large_jpeg_is_shrunk_to_twice_the_side_of_a_view(tmp_path: Path, resize: Resize) -> None:
    Image.new("RGB", (1600, 1200), (90, 120, 150)).save(tmp_path / "large.jpg", quality=95)
    recorder = Recorder()
    dataset = training_views(
        [tmp_path / "large.jpg"], transform=recorder, preprocessing=replace(PREPROCESSING, resize=resize)
    )
    views_of(dataset, 0)
    assert [image.shape for image in recorder.seen] == [(32, 32, 3)] * 2


def test_views_of_a_squashed_image_are_cut_from_the_whole_of_it(tmp_path: Path) -> None:
    image = np.zeros((12, 60, 3), dtype=np.uint8)
    image[:, :30, 0] = image[:, 30:, 2] = 200  # wide: red on the left, blue on the right
    Image.fromarray(image).save(tmp_path / "wide.png")
    recorder = Recorder()
    dataset = training_views(
        [tmp_path / "wide.png"], transform=recorder, preprocessing=replace(PREPROCESSING, resize="squash")
    )
    views_of(dataset, 0)
    assert recorder.seen[0].shape == (32, 32, 3)
    np.testing.assert_array_equal(recorder.seen[0][:, [0, -1]].mean(axis=0), [[200, 0, 0], [0, 0, 200]])


def test_a_small_image_is_not_enlarged(tmp_path: Path) -> None:
    recorder = Recorder()
    path = solid(tmp_path / "small.png", (9, 9, 9), size=(11, 8))
    views_of(training_views([path], transform=recorder), 0)
    assert recorder.seen[0].shape == (11, 11, 3)


@pytest.mark.parametrize(
    ("resize", "left_edge"), [("pad", (255, 255, 255)), ("crop", (200, 0, 0)), ("squash", (0, 0, 200))]
)
def test_a_tall_image_becomes_square_as_the_encoder_wants_it(
    tmp_path: Path, resize: Resize, left_edge: tuple[int, int, int]
) -> None:
    image = np.full((60, 20, 3), (200, 0, 0), dtype=np.uint8)
    image[:18] = image[-18:] = (0, 0, 200)  # blue above and below the red middle
    Image.fromarray(image).save(tmp_path / "tall.png")
    preprocessing = replace(PREPROCESSING, resize=resize)
    dataset = training_views([tmp_path / "tall.png"], transform=PLAIN, preprocessing=preprocessing)
    views = views_of(dataset, 0)
    np.testing.assert_array_equal(views[0, 1, 0], left_edge)
    np.testing.assert_array_equal(views[0, SIZE // 2, SIZE // 2], (200, 0, 0))


def test_shrinking_averages(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, size=(128, 128, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "noise.png")
    recorder = Recorder()
    views_of(training_views([tmp_path / "noise.png"], transform=recorder), 0)
    planes = torch.from_numpy(pixels).permute(2, 0, 1)[None].double()
    shrunk = torch.nn.functional.interpolate(planes, size=(32, 32), mode="bilinear", antialias=True)
    np.testing.assert_allclose(recorder.seen[0], shrunk[0].permute(1, 2, 0).numpy(), atol=2)


def test_a_batch_is_samples_by_views_of_uint8(paths: list[Path]) -> None:
    batch = epochs_of(paths, workers=0, epochs=1)[0][0]
    assert (batch.views.shape, batch.views.dtype) == ((4, 2, SIZE, SIZE, 3), torch.uint8)
    assert (batch.rows.shape, batch.rows.dtype) == ((4, 2), torch.int64)
    assert (batch.labels.shape, batch.labels.dtype) == ((4,), torch.int64)


def test_a_batch_holds_the_labels_of_its_rows(paths: list[Path]) -> None:
    for batch in epochs_of(paths, workers=0, epochs=1)[0]:
        assert batch.labels.tolist() == [row // 2 for row in batch.rows[:, 0].tolist()]


def test_workers_do_not_change_a_batch(paths: list[Path]) -> None:
    alone, helped = epochs_of(paths, workers=0, epochs=2), epochs_of(paths, workers=2, epochs=2)
    for one, other in zip(alone, helped, strict=True):
        for first, second in zip(one, other, strict=True):
            assert torch.equal(first.views, second.views)
            assert torch.equal(first.rows, second.rows)


def views_by_row(batches: list[Batch]) -> dict[int, torch.Tensor]:
    return {int(rows[0]): views for batch in batches for rows, views in zip(batch.rows, batch.views, strict=True)}


def test_an_image_looks_different_in_every_epoch(paths: list[Path]) -> None:
    first, second = (views_by_row(batches) for batches in epochs_of(paths, workers=0, epochs=2))
    both = first.keys() & second.keys()
    assert len(both) >= 6
    assert not any(torch.equal(first[row], second[row]) for row in both)


def test_an_image_looks_different_under_another_seed(paths: list[Path]) -> None:
    first, second = (views_by_row(epochs_of(paths, workers=0, epochs=1, seed=seed)[0]) for seed in (1, 2))
    assert not any(torch.equal(first[row], second[row]) for row in first)


def test_making_a_loader_leaves_the_random_state_alone(paths: list[Path]) -> None:
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    epochs_of(paths, workers=0, epochs=1)
    assert torch.equal(torch.rand(1), expected)


@pytest.mark.parametrize("workers", [0, 2])
def test_images_come_in_order_and_none_is_left_out(paths: list[Path], workers: int) -> None:
    dataset = CatalogImages(images=SourceImages(paths=paths), rows=range(len(paths)), preprocessing=PREPROCESSING)
    batches = list(image_loader(dataset, batch_size=4, workers=workers, pin_memory=False, share=WHOLE))
    assert [batch.positions.tolist() for batch in batches] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    for position, pixels in enumerate(torch.cat([batch.pixels for batch in batches]).numpy()):
        expected = Image.open(paths[position]).convert("RGB").resize((SIZE, SIZE), Image.Resampling.BILINEAR)
        np.testing.assert_array_equal(pixels, expected)


def test_images_are_read_whole(paths: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    reads = counted_reads(monkeypatch)
    CatalogImages(images=SourceImages(paths=paths), rows=range(len(paths)), preprocessing=PREPROCESSING)[1]
    assert reads == [(paths[1], None)]


@pytest.mark.filterwarnings("ignore:This DataLoader will create")
def test_no_more_processes_than_batches(paths: list[Path]) -> None:
    dataset = CatalogImages(images=SourceImages(paths=paths), rows=range(len(paths)), preprocessing=PREPROCESSING)
    assert image_loader(dataset, batch_size=4, workers=8, pin_memory=False, share=WHOLE).num_workers == 3


def test_an_unreadable_image_is_named(tmp_path: Path) -> None:
    path = tmp_path / "text.png"
    path.write_text("not a picture")
    message = re.escape(f"{path}: not an image, or of a kind that Pillow does not know")
    with pytest.raises(CatalogError, match=f"^{message}$"):
        views_of(training_views([path]), 0)


@pytest.mark.parametrize(
    ("configured", "cores", "sharing", "slurm", "expected"),
    [
        (0, 4, 1, False, 0),
        (5, 2, 1, False, 5),
        (None, 3, 1, False, 3),
        (None, 64, 1, False, 16),
        (None, 64, 8, False, 8),
        (None, 12, 8, True, 12),  # srun --cpus-per-task=12: these cores are this process's own
        (None, 96, 8, True, 12),  # SLURM without binding to cores
    ],
)
def test_the_number_of_loading_processes(
    monkeypatch: pytest.MonkeyPatch, configured: int | None, cores: int, sharing: int, slurm: bool, expected: int
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _process: set(range(cores)))
    monkeypatch.setattr(os, "cpu_count", lambda: 96)
    if slurm:
        monkeypatch.setenv("SLURM_CPUS_PER_TASK", "12")
    assert worker_count(configured, sharing=sharing) == expected


@pytest.mark.parametrize("rows", [((3,), (4,)), ((3, 5), (4, 4))], ids=["one picture", "one for each view"])
def test_pictures_for_a_device_make_the_views_of_the_loading_processes(
    paths: list[Path], rows: tuple[tuple[int, ...], ...]
) -> None:
    draws = [Draw(rows=of_sample, epoch=2, position=place) for place, of_sample in enumerate(rows)]
    transform = PartViews(PRESETS["color_sensitive"], image_size=SIZE)
    views = training_views(paths, transform=transform).__getitems__(draws)
    pictures = training_views(paths, transform=transform, kind=TrainingPictures).__getitems__(draws)
    assert pictures.views.shape[:2] == (2, len(rows[0]))
    made = pictures.made()
    assert torch.equal(made.rows, views.rows)
    assert torch.equal(made.labels, views.labels)
    assert (made.views.float() - views.views.float()).abs().mean() < 2  # of 255, on noise

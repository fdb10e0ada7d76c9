"""Large batches in parts: the same batches, and no more in shared memory than the parts."""

from itertools import chain
from pathlib import Path

import pytest
import torch
from tiny_training import PREPROCESSING, draw_images

from simtrain.catalog.store.reader import SourceImages
from simtrain.data import datasets, joined_batches
from simtrain.data.batch import Batch
from simtrain.data.datasets import TrainingPictures, TrainingViews, training_loader
from simtrain.data.joined_batches import PART_BYTES, JoinedBatches, Parts, part_samples, shared_bytes
from simtrain.data.presets import PRESETS
from simtrain.data.samplers import WHOLE, EpochBatches, Share, shuffled_plan
from simtrain.data.transforms import PartViews

SAMPLE = 2 * 3 * PREPROCESSING.image_size**2


def batches(*, share: Share = WHOLE) -> EpochBatches:
    plan = shuffled_plan(torch.arange(22).numpy(), batch_size=10, seed=3)
    return EpochBatches(plan=plan, share=share)


def test_an_epoch_is_divided_batch_by_batch() -> None:
    whole, parts = list(batches()), list(Parts(batches=batches(), size=4))
    assert [len(part) for part in parts] == [4, 4, 2] * 2
    assert list(chain(*parts)) == list(chain(*whole))
    assert (len(Parts(batches=batches(), size=4)), Parts(batches=batches(), size=4).of_a_batch) == (6, 3)


def test_parts_go_on_where_the_batches_do() -> None:
    later, parts = batches(), batches()
    for one in (later, parts):
        one.start_at(epoch=1, batch=1)
    assert list(chain(*Parts(batches=parts, size=3))) == list(chain(*later))


def test_a_process_divides_its_share() -> None:
    assert Parts(batches=batches(share=Share(index=1, of=2)), size=4).of_a_batch == 2


def test_bytes_in_shared_memory() -> None:
    assert part_samples(2 * 3 * 224**2) == 222
    assert part_samples(2**30) == 1
    whole = 4096 * 2 * 3 * 224**2  # simclr_resnet50_4096 on one GPU
    assert shared_bytes(batch_bytes=whole, workers=8) == 16 * PART_BYTES == 2**30
    assert shared_bytes(batch_bytes=1000, workers=2) == 4000


def loaded(paths: list[Path], *, workers: int, kind: type[TrainingViews] = TrainingViews) -> list[Batch]:
    dataset = kind(
        images=SourceImages(paths=paths),
        labels=torch.arange(22).numpy(),
        views=2,
        preprocessing=PREPROCESSING,
        transform=PartViews(PRESETS["color_sensitive"], image_size=PREPROCESSING.image_size),
        seed=1,
    )
    loader = training_loader(dataset, batches=batches(), workers=workers, pin_memory=False)
    assert isinstance(loader, JoinedBatches) == (workers > 0)
    assert len(loader) == 2
    return list(loader)


@pytest.mark.slow
def test_joined_batches_are_the_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = draw_images(tmp_path, count=22)
    monkeypatch.setattr(joined_batches, "PART_BYTES", 4 * SAMPLE)
    monkeypatch.setattr(datasets, "part_samples", lambda _bytes: 4)
    for whole, joined in zip(loaded(paths, workers=0), loaded(paths, workers=2), strict=True):
        assert torch.equal(whole.views, joined.views)
        assert torch.equal(whole.labels, joined.labels)
        assert torch.equal(whole.rows, joined.rows)


@pytest.mark.slow
def test_pictures_of_joined_batches_make_the_same_views(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = draw_images(tmp_path / "small", count=11) + draw_images(tmp_path / "wide", count=11, size=(70, 31), seed=1)
    monkeypatch.setattr(datasets, "part_samples", lambda _bytes: 4)
    alone = loaded(paths, workers=0, kind=TrainingPictures)
    joined = loaded(paths, workers=2, kind=TrainingPictures)
    for whole, parts in zip(alone, joined, strict=True):
        assert torch.equal(whole.views, parts.views)
        assert torch.equal(whole.rows, parts.rows)
        assert torch.equal(whole.made().views, parts.made().views)

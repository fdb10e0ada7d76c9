"""How fast a run's pictures and its network are, by a clock that goes a second at each look."""

from itertools import count
from pathlib import Path
from typing import Any

import pytest
from small_configs import run_config

from simtrain.catalog.table import Catalog
from simtrain.config import RunConfig
from simtrain.errors import CatalogError, ConfigError
from simtrain.runs import training_speed
from simtrain.runs.training_speed import TrainingSpeed, measure_training_speed


def speed(**values: Any) -> TrainingSpeed:
    network = "resnet50, 224 pixels, 32-true"
    usual: dict[str, Any] = {"loaded": 300.0, "trained": 50.0, "workers": 2, "devices": 1, "images": "from the store"}
    return TrainingSpeed(**{**usual, "network": network, **values})


@pytest.fixture
def config(catalog: Catalog, tmp_path: Path) -> RunConfig:
    return run_config(catalog, tmp_path, data={"batch_size": 8, "workers": 0})


def test_views_are_counted_after_the_first_batch_and_steps_at_their_best(config: RunConfig, tmp_path: Path) -> None:
    seconds = map(float, count())
    found = measure_training_speed(config, seconds=2.5, clock=lambda: next(seconds))
    assert found.loaded == 2 * 8 / 4  # looks: began, before each of two batches, before no more, and at the end
    assert found.trained == 8  # a batch in a second
    assert (found.workers, found.devices) == (0, 1)
    assert found.network == "test_efficientnet, 32 pixels, 32-true"
    assert found.starves
    assert list(tmp_path.iterdir()) == []


def test_several_devices_want_several_times_as_many(config: RunConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training_speed, "device_count", lambda devices, accelerator: 4)
    seconds = map(float, count())
    assert measure_training_speed(config, seconds=2.5, clock=lambda: next(seconds)).trained == 4 * 8


def test_it_says_which_would_wait_and_what_helps(monkeypatch: pytest.MonkeyPatch) -> None:
    assert str(speed()) == (
        "2 loading processes make 300 views a second (from the store), the network trains 50 "
        "(resnet50, 224 pixels, 32-true): it is the network that takes the time"
    )
    monkeypatch.setattr(training_speed, "worker_count", lambda configured, sharing: 8)
    waiting = "the network would wait for pictures 75% of the time; "
    assert str(speed(trained=1200.0, devices=2)) == (
        "2 loading processes make 300 views a second (from the store), the network trains 1200 on 2 devices "
        f"(resnet50, 224 pixels, 32-true): {waiting}--set data.workers=8"
    )
    files = speed(trained=1200.0, workers=8, images="from the source's files (the catalogue has no image store)")
    assert str(files).endswith(
        f"{waiting}prepare the catalogue with an image store, which is read several times as fast"
    )
    assert str(speed(trained=1200.0, workers=8)).endswith(f"{waiting}more cores would help")
    assert str(speed(workers=0)).startswith("this process makes 300 views a second")


def test_a_run_that_could_not_begin_is_told_so(config: RunConfig, tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match=r"no catalogue here"):
        measure_training_speed(config.model_copy(update={"catalog": str(tmp_path / "no")}), seconds=1)
    frozen = config.model_copy(update={"trainer": config.trainer.model_copy(update={"freeze_encoder": True})})
    with pytest.raises(ConfigError, match=r"^trainer.freeze_encoder: features are embedded once, so nothing waits"):
        measure_training_speed(frozen, seconds=1)

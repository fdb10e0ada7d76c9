"""No test looks anything up, and the fixtures that several folders share: a rendered catalogue and runs trained on it.

Heavy libraries are imported inside the fixtures, so that tests of light modules start without them.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from simtrain.cli.host_memory import keep_freed_memory

if TYPE_CHECKING:
    from simtrain.catalog.table import Catalog
    from simtrain.config import RunConfig
    from simtrain.runs.run import Run

os.environ.setdefault("OMP_NUM_THREADS", "1")  # tiny networks: a second thread costs more than it gives
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
os.environ.setdefault("WANDB_MODE", "offline")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
keep_freed_memory()  # as the command line does; training takes a third less processor time


LONG = (
    "test_notebooks.py",
    "commands/",
    "architecture/test_edits.py",
    "test_init.py",
    "runs/",
    "serving/",
    "encoders/",
)
"""Files and folders whose tests train or start processes."""


def pytest_configure() -> None:
    """What is collected and imported stays to the end: no garbage collector need go through it again and again."""
    gc.disable()


def pytest_collection_finish() -> None:
    """From here on there is garbage; a full collection looks at what is new, not at the million objects of before."""
    gc.freeze()
    gc.enable()


def pytest_unconfigure() -> None:
    """Libraries of C++ tell of what is left at the end."""
    gc.unfreeze()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long files first, so that two processes, which take whole files, end together."""
    root = Path(__file__).parent

    def place(item: pytest.Item) -> int:
        path = item.path.relative_to(root).as_posix()
        return next((number for number, start in enumerate(LONG) if path.startswith(start)), len(LONG))

    items.sort(key=place)


@pytest.fixture(scope="session")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    """30 products with 4 pictures each."""
    from simtrain.commands.prepare import prepare
    from simtrain.config import PrepareConfig

    config = PrepareConfig.model_validate(
        {"synthetic": {"views": 4, "image_size": 48}, "split": {"val": 0.2, "test": 0.2}, "workers": 1}
    )
    return prepare("synthetic:30", out=tmp_path_factory.mktemp("shop") / "catalog", config=config).catalog


@pytest.fixture
def make_config(catalog: Catalog, tmp_path: Path) -> Callable[..., RunConfig]:
    """A run of three epochs of four batches on a network of 100,000 weights; keyword arguments replace sections."""
    from small_configs import run_config

    return partial(run_config, catalog, tmp_path / "checkpoints")


@pytest.fixture(scope="session")
def clip_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a tiny image-text model, untrained."""
    from tiny_clip import make_tiny_clip

    return make_tiny_clip(tmp_path_factory.mktemp("clip_model") / "model")


@pytest.fixture(scope="session")
def first_clip_run(catalog: Catalog, clip_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    from small_runs import train

    return train(
        catalog,
        tmp_path_factory.mktemp("clip"),
        encoder={"kind": "clip", "model": str(clip_model)},
        objective={"kind": "simclr", "positive": "product", "keep": {"distillation": 0, "weight_distance": 0}},
    )


@pytest.fixture
def clip_run(first_clip_run: Run, tmp_path: Path) -> Run:
    """An image-text model, tuned on images alone with nothing to hold it."""
    from small_runs import copied

    return copied(first_clip_run, tmp_path)


@pytest.fixture(scope="session")
def first_norms_run(catalog: Catalog, tmp_path_factory: pytest.TempPathFactory) -> Run:
    from small_runs import train

    return train(
        catalog,
        tmp_path_factory.mktemp("norms"),
        encoder={"kind": "timm", "model": "test_efficientnet", "weights": "none", "image_size": 32},
        trainer={"epochs": 1, "accelerator": "cpu", "freeze_batch_norm": False},
    )


@pytest.fixture
def norms_run(first_norms_run: Run, tmp_path: Path) -> Run:
    """A convolutional network that reads no texts and whose BatchNorm has learned."""
    from small_runs import copied

    return copied(first_norms_run, tmp_path)


@pytest.fixture
def preloaded_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes of a run are forked from one that has imported everything, instead of beginning with all imports."""
    import preloaded_processes

    from simtrain.launch import processes

    monkeypatch.setattr(processes, "_START_METHOD", preloaded_processes.CONTEXT.get_start_method())

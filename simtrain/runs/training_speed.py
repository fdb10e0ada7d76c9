"""Speed of a run's pictures and of its network, each by itself: which of the two would wait for the other."""

# Shapes: B samples, V views of each, S = image_size.

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from simtrain.builders.devices import run_device
from simtrain.config import RunConfig
from simtrain.console import SILENT
from simtrain.data.batch import Batch
from simtrain.data.datasets import worker_count
from simtrain.encoders.base import Encoder
from simtrain.errors import ConfigError
from simtrain.phrases import counted
from simtrain.runs.preparation import prepare_run
from simtrain.runs.session import RunSession
from simtrain.training.devices import device_count
from simtrain.training.ranks import SINGLE_PROCESS

_STEPS = 3
_VIEWS_AT_ONCE_ON_CPU = 32
_NAME = "doctor"  # of a run that is never begun
_HALVES = {"bf16-mixed": torch.bfloat16, "16-mixed": torch.float16}

Clock = Callable[[], float]


@dataclass(frozen=True, kw_only=True)
class TrainingSpeed:
    """Training views a second.

    Attributes:
        loaded: That the loading processes of this machine make together.
        trained: That the network takes forward and backward, on all devices of the run together.
        workers: Number of loading processes; 0: the training process loads.
        devices: Number of devices.
        images: Where pictures are read from, as a phrase.
        network: Network, size and arithmetic, as a phrase.
    """

    loaded: float
    trained: float
    workers: int
    devices: int
    images: str
    network: str

    @property
    def starves(self) -> bool:
        """Whether the network would wait for pictures."""
        return self.loaded < self.trained

    def __str__(self) -> str:
        processes = counted(self.workers, "loading process", "loading processes")
        makers = f"{processes} {'makes' if self.workers == 1 else 'make'}" if self.workers else "this process makes"
        each = "" if self.devices == 1 else f" on {self.devices} devices"
        facts = (
            f"{makers} {self.loaded:.0f} views a second ({self.images}), the network trains {self.trained:.0f}"
            f"{each} ({self.network}): "
        )
        if not self.starves:
            return f"{facts}it is the network that takes the time"
        share = 1 - self.loaded / self.trained
        return f"{facts}the network would wait for pictures {share:.0%} of the time; {self._remedy()}"

    def _remedy(self) -> str:
        cores = worker_count(None, sharing=1)
        if self.workers < cores:
            return f"--set data.workers={cores}"
        if self.images.startswith("from the source's files"):
            return "prepare the catalogue with an image store, which is read several times as fast"
        return "more cores would help"


def measure_training_speed(config: RunConfig, *, seconds: float, clock: Clock = time.perf_counter) -> TrainingSpeed:
    """Load training views as a run would, and train its network on some of them; nothing is written, no weight kept.

    Args:
        config: Configuration of the run.
        seconds: How long views are loaded.
        clock: Seconds that only grow.

    Raises:
        SimtrainError: as a run with this configuration would.
    """
    if config.trainer.freeze_encoder:
        raise ConfigError("trainer.freeze_encoder: features are embedded once, so nothing waits for pictures")
    unnamed = config.model_copy(update={"run": _NAME})
    session = prepare_run(unnamed, SINGLE_PROCESS, resume=False, console=SILENT)
    batch, loaded = _loaded(session, seconds=seconds, clock=clock)
    encoder, devices = session.encoder, device_count(config.trainer.devices, accelerator=config.trainer.accelerator)
    size = encoder.training_image_size
    return TrainingSpeed(
        loaded=loaded,
        trained=devices * _trained(session, batch, clock=clock),
        workers=worker_count(config.data.workers, sharing=1),
        devices=devices,
        images=session.images.description.removeprefix("images: "),
        network=f"{getattr(config.encoder, 'model', config.encoder.kind)}, {size} pixels, {session.precision}",
    )


def _loaded(session: RunSession, *, seconds: float, clock: Clock) -> tuple[Batch, float]:
    """A batch, and the views that are made a second once the first batch is there."""
    batches = _epochs(session)
    batch = next(batches)
    began, views = clock(), 0
    while clock() - began < seconds:
        views += next(batches).rows.numel()
    return batch, views / (clock() - began)


def _epochs(session: RunSession) -> Iterator[Batch]:
    while True:
        yield from session.data.train_dataloader()


def _trained(session: RunSession, batch: Batch, *, clock: Clock) -> float:
    """Views a second of the network on one device, at its best of some steps after a first one."""
    device = run_device(session.config)
    encoder = session.encoder.to(device).train()
    batch, best, images = batch.to(device), float("inf"), torch.empty(0)
    for number in range(1 + _STEPS):
        began = clock()
        pixels = batch.made().views.flatten(0, 1)
        pixels = pixels[:_VIEWS_AT_ONCE_ON_CPU] if device.type == "cpu" else pixels
        images = encoder.preprocessing.normalise(pixels)
        _step(encoder, images, halves=_HALVES.get(session.precision))
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        if number:
            best = min(best, clock() - began)
    return len(images) / best


@torch.enable_grad()
def _step(encoder: Encoder, images: Tensor, *, halves: torch.dtype | None) -> None:
    """Forward and backward without an objective; gradients are added to the weights', which stay as they are."""
    with torch.autocast(images.device.type, dtype=halves, enabled=halves is not None):
        embeddings = encoder(images)
    if embeddings.requires_grad:  # else it cannot be trained, which whoever trains it says
        torch.autograd.backward(F.normalize(embeddings.float(), dim=1).sum())

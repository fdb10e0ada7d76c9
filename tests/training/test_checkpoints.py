"""Checkpoints: whole at any moment, the best by its figure, and a run that goes on as if nothing had happened."""

import os
import pickle
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import LambdaCallback
from tiny_training import Shop, TinyEncoder, bare_trainer, draw_shop
from torch import Tensor, nn
from torch.utils.data import DataLoader
from typing_extensions import override

from simtrain.console import SILENT
from simtrain.errors import CheckpointError
from simtrain.training.checkpoints import BestAndLast, WholeFileIO
from simtrain.training.epoch_choice import EpochChoice, EpochFigure
from simtrain.training.epoch_table import EpochLog, read_metrics
from simtrain.training.file_names import BEST, LAST, METRICS_FILE
from simtrain.training.product_sums import ProductSums
from simtrain.training.saved_weights import read_module_state

State = Mapping[str, Tensor]
pytestmark = [
    pytest.mark.filterwarnings("ignore:.*LeafSpec"),
    pytest.mark.filterwarnings("ignore:.*your dataloader is not resumable"),  # its batches are
    pytest.mark.filterwarnings("ignore:Total length of `list` across ranks is zero"),
]


class Scripted(pl.LightningModule):
    """Its weight counts the epochs; its validation figure in each of them is given, and its values by product."""

    def __init__(self, figures: list[float], *, products: Sequence[ProductSums | None] = ()) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(()))
        self.monitored: ProductSums | None = None
        self._figures = figures
        self._products = products or [None] * len(figures)

    @override
    def training_step(self, batch: Tensor, batch_idx: int) -> Tensor:
        self.monitored = self._products[self.current_epoch]
        self.log("val_figure", self._figures[self.current_epoch], on_step=False, on_epoch=True)
        return -self.weight

    @override
    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=1.0)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    return draw_shop(tmp_path_factory.mktemp("shop"))


def run_scripted(folder: Path, figures: list[float], keeper: BestAndLast, **settings: Any) -> None:
    trainer = bare_trainer(
        folder, callbacks=[keeper], plugins=[WholeFileIO()], **{"max_epochs": len(figures), **settings}
    )
    trainer.fit(Scripted(figures), DataLoader(torch.zeros(1, 1)), ckpt_path=settings.pop("ckpt_path", None))


def choice_from(first: float | None = 0.3) -> EpochChoice:
    return EpochChoice(first_value=first, tolerance=1.0)


def keeper_of(folder: Path, choice: EpochChoice | None = None, *, monitor: str | None = "val_figure") -> BestAndLast:
    return BestAndLast(folder=folder, monitor=monitor, choice=choice or choice_from(), every_steps=None)


def epoch_in(path: Path) -> float:
    """The epoch whose end a scripted checkpoint holds; 0: untouched."""
    return read_module_state(path)["weight"].item()


def test_a_checkpoint_is_written_whole(tmp_path: Path) -> None:
    WholeFileIO().save_checkpoint({"state_dict": {"weight": torch.arange(3)}}, tmp_path / "a.ckpt")
    assert torch.equal(read_module_state(tmp_path / "a.ckpt")["weight"], torch.arange(3))
    assert [path.name for path in tmp_path.iterdir()] == ["a.ckpt"]


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "a.ckpt"
    WholeFileIO().save_checkpoint({"state_dict": {"weight": torch.zeros(1)}}, target)
    before = target.read_bytes()

    def full_disk(_content: object, path: Path) -> None:
        Path(path).write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", full_disk)
    with pytest.raises(CheckpointError, match=r"a\.ckpt: cannot be written: No space left on device$"):
        WholeFileIO().save_checkpoint({"state_dict": {"weight": torch.ones(1)}}, target)
    assert target.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["a.ckpt"]


def test_a_file_that_the_disk_does_not_take_whole_is_told_as_such(tmp_path: Path) -> None:
    """A real limit: torch's own writer tells of it in words of its own."""
    script = (
        "import resource, sys; from pathlib import Path; import torch\n"
        "from simtrain.training.checkpoints import WholeFileIO\n"
        "import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\n"
        "try: WholeFileIO().save_checkpoint({'weight': torch.zeros(10**6)}, Path(sys.argv[1]))\n"
        "except Exception as error: print(type(error).__name__, error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "a.ckpt")], capture_output=True, text=True, check=True
    )
    told = (
        f"CheckpointError {tmp_path / 'a.ckpt'}: cannot be written: the disk is full, or a limit of the size of files"
    )
    assert done.stdout.startswith(told)
    assert list(tmp_path.iterdir()) == []


def test_the_best_epoch_is_kept(tmp_path: Path) -> None:
    choice = choice_from()
    run_scripted(tmp_path, [0.2, 0.5, 0.4], keeper_of(tmp_path, choice))
    assert choice.chosen == EpochFigure(epoch=2, value=pytest.approx(0.5))
    assert epoch_in(tmp_path / BEST) == 2


def test_the_last_epoch_is_kept(tmp_path: Path) -> None:
    run_scripted(tmp_path, [0.2, 0.5, 0.4], keeper_of(tmp_path))
    assert epoch_in(tmp_path / LAST) == 3


def test_the_untouched_encoder_stays_the_best_where_training_does_not_help(tmp_path: Path) -> None:
    choice = choice_from(0.6)
    run_scripted(tmp_path, [0.2, 0.5, 0.4], keeper_of(tmp_path, choice))
    assert choice.chosen == EpochFigure(epoch=0, value=0.6)
    assert epoch_in(tmp_path / BEST) == 0


def test_as_good_is_not_better(tmp_path: Path) -> None:
    run_scripted(tmp_path, [0.5, 0.5], keeper_of(tmp_path, choice_from(0.5)))
    assert epoch_in(tmp_path / BEST) == 0


def test_a_figure_that_is_not_a_number_is_not_better(tmp_path: Path) -> None:
    run_scripted(tmp_path, [float("nan")], keeper_of(tmp_path))
    assert epoch_in(tmp_path / BEST) == 0


def test_without_validation_the_last_is_the_best(tmp_path: Path) -> None:
    choice = choice_from(None)
    run_scripted(tmp_path, [0.0, 0.0], keeper_of(tmp_path, choice, monitor=None))
    assert epoch_in(tmp_path / BEST) == epoch_in(tmp_path / LAST) == 2
    assert choice.chosen == EpochFigure(epoch=2, value=None)


def test_both_files_are_there_before_the_first_step(tmp_path: Path) -> None:
    found = []
    look = LambdaCallback(
        on_train_batch_start=lambda *_: found.append((epoch_in(tmp_path / BEST), epoch_in(tmp_path / LAST)))
    )
    trainer = bare_trainer(tmp_path, callbacks=[keeper_of(tmp_path), look])
    trainer.fit(Scripted([0.0]), DataLoader(torch.zeros(1, 1)))
    assert found == [(0, 0)]


def test_the_last_is_saved_after_every_epoch(tmp_path: Path) -> None:
    found = []
    look = LambdaCallback(on_train_epoch_start=lambda *_: found.append(epoch_in(tmp_path / LAST)))
    trainer = bare_trainer(tmp_path, callbacks=[keeper_of(tmp_path), look], max_epochs=3)
    trainer.fit(Scripted([0.4, 0.2, 0.1]), DataLoader(torch.zeros(1, 1)))
    assert found == [0, 1, 2]


def test_a_resumed_run_remembers_the_best(tmp_path: Path) -> None:
    run_scripted(tmp_path, [0.5, 0.2], keeper_of(tmp_path))
    choice = choice_from()
    trainer = bare_trainer(tmp_path, callbacks=[keeper_of(tmp_path, choice)], max_epochs=3)
    trainer.fit(Scripted([0.0, 0.0, 0.4]), DataLoader(torch.zeros(1, 1)), ckpt_path=tmp_path / LAST, weights_only=True)
    assert choice.chosen == EpochFigure(epoch=1, value=pytest.approx(0.5))
    assert epoch_in(tmp_path / BEST) == 1


def by_product(*values: float) -> ProductSums:
    """A mean over products of one query each."""
    return ProductSums(sums=np.array(values)[:, None], counts=np.ones((len(values), 1)))


def test_a_later_epoch_that_differs_by_chance_is_kept_by_a_resumed_run_too(tmp_path: Path) -> None:
    # The mean of -0.2, 0, 0 and 0 has a standard error of 0.05.
    figures, products = [0.5, 0.46, 0.2], [by_product(0.6, 0.4, 0.5, 0.5), by_product(0.4, 0.4, 0.5, 0.5), None]
    first = bare_trainer(tmp_path, callbacks=[keeper_of(tmp_path)], plugins=[WholeFileIO()], max_epochs=1)
    first.fit(Scripted(figures, products=products), DataLoader(torch.zeros(1, 1)))
    choice = choice_from()
    trainer = bare_trainer(tmp_path, callbacks=[keeper_of(tmp_path, choice)], plugins=[WholeFileIO()], max_epochs=3)
    resumed = {"ckpt_path": tmp_path / LAST, "weights_only": True}
    trainer.fit(Scripted(figures, products=products), DataLoader(torch.zeros(1, 1)), **resumed)
    assert choice.chosen == EpochFigure(epoch=2, value=pytest.approx(0.46))
    assert choice.highest == EpochFigure(epoch=1, value=pytest.approx(0.5))
    assert epoch_in(tmp_path / BEST) == 2


def test_an_error_in_a_step_leaves_the_last_epochs_end(tmp_path: Path) -> None:
    def fail(trainer: pl.Trainer, *_: object) -> None:
        if trainer.current_epoch == 2:
            raise RuntimeError("out of luck")

    trainer = bare_trainer(
        tmp_path, callbacks=[keeper_of(tmp_path), LambdaCallback(on_train_batch_end=fail)], max_epochs=3
    )
    with pytest.raises(RuntimeError, match="out of luck"):
        trainer.fit(Scripted([0.0, 0.0, 0.0]), DataLoader(torch.zeros(1, 1)))
    assert epoch_in(tmp_path / LAST) == 2


class Interruption(pl.Callback):
    """Sends SIGTERM once, at a moment (`step`, `validation` or `validation end`) of an epoch."""

    def __init__(self, moment: str, *, epoch: int, batch: int) -> None:
        self._when = (moment, epoch, batch)

    def _perhaps(self, moment: str, trainer: pl.Trainer, batch: int) -> None:
        if (moment, trainer.current_epoch, batch) == self._when:
            signal.raise_signal(signal.SIGTERM)  # to this thread: libraries of other tests have threads of their own

    @override
    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        self._perhaps("step", trainer, trainer.fit_loop.epoch_loop.batch_idx)

    @override
    def on_validation_batch_end(self, trainer: pl.Trainer, *arguments: Any) -> None:
        self._perhaps("validation", trainer, arguments[3])

    @override
    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._perhaps("validation end", trainer, 0)


def train(
    shop: Shop, folder: Path, *, interruption: Interruption | None = None, validate: bool = True, resume: bool = False
) -> tuple[State, list[dict[str, str]]]:
    """Three epochs of four batches, the first one for the head only; the weights and the figures they end with."""
    folder.mkdir(exist_ok=True)
    monitor = "val_map_at_r" if validate else None
    log = EpochLog(
        folder=folder,
        monitor=monitor,
        parts=[],
        first={"map_at_r": 0.1} if validate else {},
        console=SILENT,
    )
    keeper = keeper_of(folder, choice_from(0.1 if validate else None), monitor=monitor)
    callbacks = [log, keeper, *([interruption] if interruption else [])]
    trainer = bare_trainer(folder, callbacks=callbacks, plugins=[WholeFileIO()], max_epochs=3)
    encoder = TinyEncoder(seed=1, dropout=0.2)
    module = shop.module(encoder=encoder, validate=validate, head_only_epochs=1, freeze_batch_norm=True)
    arguments = {"datamodule": shop.data(validate=validate), "ckpt_path": folder / LAST if resume else None}
    if interruption is None:
        trainer.fit(module, weights_only=True, **arguments)
    else:
        with pytest.raises(SystemExit):
            trainer.fit(module, weights_only=True, **arguments)
    rows = read_metrics(folder / METRICS_FILE)
    columns = ("epoch", "step", "learning_rate", *(["val_map_at_r", "val_mrr"] if validate else []))
    return module.state_dict(), [{name: row.get(name, "") for name in columns} for row in rows]


@pytest.fixture(scope="module")
def uninterrupted(shop: Shop, tmp_path_factory: pytest.TempPathFactory) -> dict[bool, tuple[State, Any]]:
    """With validation and without it."""
    return {validate: train(shop, tmp_path_factory.mktemp("whole"), validate=validate) for validate in (True, False)}


def assert_same_end(found: tuple[State, Any], expected: tuple[State, Any]) -> None:
    assert all(torch.equal(found[0][name], value) for name, value in expected[0].items())
    assert found[1] == expected[1]


@pytest.mark.parametrize(
    ("validate", "moment", "epoch", "batch"),
    [
        (True, "step", 0, 0),  # in the epoch for the head only
        (True, "step", 1, 2),
        (True, "step", 1, 3),  # the last of the epoch
        (True, "step", 2, 3),  # the last of the run
        (True, "validation", 1, 0),
        (True, "validation", 1, 1),
        (True, "validation end", 1, 0),
        (False, "step", 1, 2),
        (False, "step", 1, 3),
        (False, "step", 2, 3),
    ],
)
def test_a_resumed_run_ends_where_an_uninterrupted_one_does(
    shop: Shop,
    tmp_path: Path,
    uninterrupted: dict[bool, tuple[State, Any]],
    validate: bool,
    moment: str,
    epoch: int,
    batch: int,
) -> None:
    train(shop, tmp_path, interruption=Interruption(moment, epoch=epoch, batch=batch), validate=validate)
    assert_same_end(train(shop, tmp_path, validate=validate, resume=True), uninterrupted[validate])


def test_a_run_may_be_interrupted_twice_in_one_epoch(
    shop: Shop, tmp_path: Path, uninterrupted: dict[bool, tuple[State, Any]]
) -> None:
    train(shop, tmp_path, interruption=Interruption("step", epoch=1, batch=0))
    train(shop, tmp_path, interruption=Interruption("step", epoch=1, batch=2), resume=True)
    assert_same_end(train(shop, tmp_path, resume=True), uninterrupted[True])


def test_an_interruption_in_mid_epoch_loses_no_step(shop: Shop, tmp_path: Path) -> None:
    train(shop, tmp_path, interruption=Interruption("step", epoch=1, batch=2))
    assert torch.load(tmp_path / LAST, weights_only=True)["global_step"] == 4 + 3


def test_an_interrupted_validation_leaves_the_last_epochs_end(shop: Shop, tmp_path: Path) -> None:
    train(shop, tmp_path, interruption=Interruption("validation", epoch=1, batch=0))
    assert torch.load(tmp_path / LAST, weights_only=True)["global_step"] == 4


def test_the_state_of_a_checkpoint_is_the_modules(shop: Shop, tmp_path: Path) -> None:
    weights, _ = train(shop, tmp_path)
    state = read_module_state(tmp_path / LAST)
    assert state.keys() == weights.keys()
    assert all(torch.equal(state[name], value) for name, value in weights.items())


class Trap:
    """Pickles into a call."""

    def __init__(self, witness: Path) -> None:
        self._witness = witness

    @override
    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return os.mkdir, (str(self._witness),)


def test_a_missing_checkpoint_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "gone.ckpt"
    with pytest.raises(CheckpointError, match=f"^{re.escape(f'{path}: no such checkpoint')}$"):
        read_module_state(path)


def test_code_in_a_checkpoint_is_not_executed(tmp_path: Path) -> None:
    path, witness = tmp_path / "trap.ckpt", tmp_path / "executed"
    torch.save({"state_dict": {"weight": torch.zeros(1)}, "trap": Trap(witness)}, path)
    message = f"{path}: not a checkpoint of simtrain fit (UnpicklingError)"
    with pytest.raises(CheckpointError, match=f"^{re.escape(message)}$"):
        read_module_state(path)
    assert not witness.exists()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"just some text\n", "KeyError"),
        (b"", "EOFError"),
        (pickle.dumps([1, 2, 3], protocol=2), "RuntimeError"),
    ],
)
def test_a_file_that_is_no_checkpoint_is_an_error(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "odd.ckpt"
    path.write_bytes(content)
    message = f"{path}: not a checkpoint of simtrain fit ({reason})"
    with pytest.raises(CheckpointError, match=f"^{re.escape(message)}$"):
        read_module_state(path)


@pytest.mark.parametrize(("content", "reason"), [({"weights": {}}, "KeyError"), ([1.0], "TypeError")])
def test_a_checkpoint_of_something_else_is_an_error(tmp_path: Path, content: object, reason: str) -> None:
    path = tmp_path / "other.ckpt"
    torch.save(content, path)
    message = f"{path}: not a checkpoint of simtrain fit ({reason})"
    with pytest.raises(CheckpointError, match=f"^{re.escape(message)}$"):
        read_module_state(path)

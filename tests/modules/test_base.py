"""Training modules: what they learn, what they hold still, and what they tell."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import LambdaCallback
from tiny_modules import head, simclr, total, triplet
from tiny_training import (
    PREPROCESSING,
    SIZE,
    Shop,
    TinyEncoder,
    bare_trainer,
    draw_shop,
    noise_batch,
    optimizer_settings,
    training_settings,
)
from torch import Tensor, nn

from simtrain.data.batch import Batch
from simtrain.data.samplers import shuffled_plan
from simtrain.losses.metric_learning import LibraryClass, named_loss
from simtrain.modules.base import RetrievalModule
from simtrain.modules.metric_learning import MetricLearningModule, MetricLearningSettings
from simtrain.modules.simclr import SimCLRModule
from simtrain.training.optim import parameter_groups

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*LeafSpec"),
    pytest.mark.filterwarnings("ignore:Total length of `list` across ranks is zero"),
]


def proxies(**settings: Any) -> MetricLearningModule:
    torch.manual_seed(3)
    loss = named_loss(
        loss=LibraryClass(name="ProxyAnchorLoss", parameters={}),
        miner=None,
        classes=4,
        embedding_size=6,
        memory=None,
    )
    return MetricLearningModule(
        objective=MetricLearningSettings(mined_loss=loss, false_negatives=None),
        encoder=TinyEncoder(),
        head=head(),
        settings=training_settings(**settings),
        validation=None,
    )


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    return draw_shop(tmp_path_factory.mktemp("shop"))


@pytest.mark.parametrize(("make", "views"), [(lambda: simclr(head=head()), 2), (simclr, 2), (triplet, 1), (proxies, 1)])
def test_a_few_steps_lower_the_loss_of_a_batch(make: Callable[[], RetrievalModule], views: int) -> None:
    module, batch = make().train(), noise_batch(samples=8, views=views)
    settings = optimizer_settings(learning_rate=0.003, weight_decay=0.0)
    optimizer = torch.optim.AdamW(
        parameter_groups(module, encoder=module.encoder, new=module.new_parameters(), settings=settings)
    )
    losses = []
    for _ in range(30):
        optimizer.zero_grad()
        loss = total(module, batch)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.9 * losses[0]


@pytest.mark.parametrize("views", [1, 2, 3])
def test_projections_come_view_by_view(views: int) -> None:
    module, batch = simclr(head=head()).eval(), noise_batch(samples=3, views=views)
    _, projected = module.project(batch)
    for view in range(views):
        for sample in range(3):
            pixels = (batch.views[sample, view].permute(2, 0, 1)[None].float() / 255 - 0.5) / 0.5
            expected = module.head(module.encoder.network(pixels))[0]
            torch.testing.assert_close(projected[view * 3 + sample], expected, rtol=1e-4, atol=1e-5)


def test_without_a_head_the_loss_sees_the_embedding() -> None:
    module, batch = simclr().eval(), noise_batch(samples=3, views=1)
    expected = module.encoder(PREPROCESSING.normalise(batch.views[:, 0]))
    torch.testing.assert_close(module.project(batch), (expected, expected))


@pytest.mark.parametrize("make", [lambda: simclr(head=head()), triplet])
def test_the_loss_is_float32_under_autocast(make: Callable[[], RetrievalModule]) -> None:
    module, views = make(), 2
    module = module.train()
    batch = noise_batch(samples=4, views=views if isinstance(module, SimCLRModule) else 1)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = total(module, batch)
    assert loss.dtype == torch.float32
    loss.backward()
    assert all(parameter.grad is not None for parameter in module.encoder.parameters())


def test_the_head_is_no_part_of_the_encoder() -> None:
    module = simclr(head=head())
    encoder_names = set(TinyEncoder().state_dict())
    assert set(module.encoder.state_dict()) == encoder_names
    assert set(module.state_dict()) == {f"encoder.{name}" for name in encoder_names} | {
        "head.0.weight",
        "head.0.bias",
        "head.2.weight",
        "head.2.bias",
    }


def names_of(module: nn.Module, parameters: list[nn.Parameter]) -> set[str]:
    wanted = {id(parameter) for parameter in parameters}
    return {name for name, parameter in module.named_parameters() if id(parameter) in wanted}


def test_head_last_layer_and_proxies_are_new() -> None:
    module = proxies()
    module.encoder = TinyEncoder(embedding_size=12)
    assert names_of(module, module.new_parameters()) == {
        "encoder.reduction.weight",
        "head.0.weight",
        "head.0.bias",
        "head.2.weight",
        "head.2.bias",
        "mined_loss.criterion.loss.proxies",
    }


def test_an_encoder_alone_has_nothing_new() -> None:
    assert simclr().new_parameters() == []


class Snapshots(pl.Callback):
    """The encoder before training and after each epoch."""

    def __init__(self) -> None:
        self.states: list[dict[str, Tensor]] = []

    def _take(self, module: pl.LightningModule) -> None:
        self.states.append({name: value.clone() for name, value in module.encoder.state_dict().items()})

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._take(pl_module)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._take(pl_module)


def states_of_a_fit(shop: Shop, folder: Path, *, epochs: int, **settings: Any) -> list[dict[str, Tensor]]:
    snapshots = Snapshots()
    trainer = bare_trainer(folder, callbacks=[snapshots], max_epochs=epochs)
    trainer.fit(shop.module(**settings), datamodule=shop.data())
    return snapshots.states


def moved(before: dict[str, Tensor], after: dict[str, Tensor], *, statistics: bool) -> set[str]:
    """The names that changed, among BatchNorm's running statistics or among the weights."""
    return {
        name
        for name, value in after.items()
        if ("running" in name or "num_batches" in name) == statistics and not torch.equal(value, before[name])
    }


def test_frozen_running_statistics_do_not_move(shop: Shop, tmp_path: Path) -> None:
    before, _, after = states_of_a_fit(shop, tmp_path, epochs=2, freeze_batch_norm=True)
    assert moved(before, after, statistics=True) == set()


def test_running_statistics_move_unless_they_are_frozen(shop: Shop, tmp_path: Path) -> None:
    before, after = states_of_a_fit(shop, tmp_path, epochs=1, freeze_batch_norm=False)
    assert moved(before, after, statistics=True) == {
        "network.1.running_mean",
        "network.1.running_var",
        "network.1.num_batches_tracked",
    }


@pytest.mark.parametrize("freeze_batch_norm", [True, False])
def test_all_weights_of_the_encoder_learn(shop: Shop, tmp_path: Path, freeze_batch_norm: bool) -> None:
    before, after = states_of_a_fit(shop, tmp_path, epochs=1, freeze_batch_norm=freeze_batch_norm)
    assert moved(before, after, statistics=False) == {name for name, _ in TinyEncoder().named_parameters()}


def test_head_only_epochs_leave_the_encoders_weights_bit_identical(shop: Shop, tmp_path: Path) -> None:
    before, first, second, third = states_of_a_fit(shop, tmp_path, epochs=3, head_only_epochs=2)
    assert moved(before, first, statistics=False) == set()
    assert moved(before, second, statistics=False) == set()
    assert moved(before, third, statistics=False) == {name for name, _ in TinyEncoder().named_parameters()}


def test_head_only_epochs_train_the_head(shop: Shop, tmp_path: Path) -> None:
    module = shop.module(head_only_epochs=1)
    before = module.head[0].weight.clone()
    bare_trainer(tmp_path).fit(module, datamodule=shop.data())
    assert not torch.equal(module.head[0].weight, before)


def test_head_only_epochs_train_a_new_last_layer(shop: Shop, tmp_path: Path) -> None:
    encoder = TinyEncoder(seed=1, embedding_size=5)
    before = {name: value.clone() for name, value in encoder.state_dict().items()}
    module = shop.module(encoder=encoder, head_only_epochs=1)
    bare_trainer(tmp_path).fit(module, datamodule=shop.data())
    assert moved(before, encoder.state_dict(), statistics=False) == {"reduction.weight"}


@pytest.mark.filterwarnings("ignore:Found .* in eval mode at the start of training")
def test_an_encoder_that_was_evaluated_is_trained_in_training_mode(shop: Shop, tmp_path: Path) -> None:
    modes = []

    def look(_trainer: object, module: RetrievalModule, *_: object) -> None:
        modes.append([part.training for part in (module, module.encoder, module.encoder.network[3])])

    module = shop.module(encoder=TinyEncoder(seed=1, dropout=0.1).eval(), freeze_batch_norm=True)
    trainer = bare_trainer(tmp_path, callbacks=[LambdaCallback(on_train_batch_start=look)], max_epochs=2)
    trainer.fit(module, datamodule=shop.data())
    assert modes == [[True, True, True]] * 8


def test_the_rates_of_a_fit_follow_the_schedule(shop: Shop, tmp_path: Path) -> None:
    rates = []

    def look(trainer: pl.Trainer, *_: object) -> None:
        rates.append({group["name"]: group["lr"] for group in trainer.optimizers[0].param_groups})

    trainer = bare_trainer(tmp_path, callbacks=[LambdaCallback(on_train_batch_start=look)], max_epochs=2)
    trainer.fit(shop.module(learning_rate=0.01, head_factor=3.0, warmup_fraction=0.25), datamodule=shop.data())
    shares = [1 / 3, 2 / 3, *((1 + np.cos(np.pi * np.arange(6) / 6)) / 2)]
    np.testing.assert_allclose([rate["encoder_decay"] for rate in rates], 0.01 * np.array(shares))
    np.testing.assert_allclose([rate["head_no_decay"] for rate in rates], 0.03 * np.array(shares))


def test_each_epoch_sees_its_own_batches(shop: Shop, tmp_path: Path) -> None:
    seen: list[list[int]] = []

    def look(_trainer: object, _module: object, batch: Batch, *_: object) -> None:
        seen.append(batch.rows[:, 0].tolist())

    trainer = bare_trainer(tmp_path, callbacks=[LambdaCallback(on_train_batch_start=look)], max_epochs=3)
    trainer.fit(shop.module(), datamodule=shop.data())
    plan = shuffled_plan(np.arange(16), batch_size=4, seed=3)
    assert seen == [[row for draw in draws for row in draw.rows] for epoch in range(3) for draws in plan(epoch)]


def test_without_a_task_nothing_is_validated(shop: Shop, tmp_path: Path) -> None:
    trainer = bare_trainer(tmp_path)
    trainer.fit(shop.module(validate=False), datamodule=shop.data())
    assert [name for name in trainer.callback_metrics if name.startswith("val_")] == []


def test_the_loss_of_an_epoch_is_the_mean_of_its_batches(shop: Shop, tmp_path: Path) -> None:
    losses = []

    def look(_trainer: object, _module: object, outputs: dict[str, Tensor], *_: object) -> None:
        losses.append(outputs["loss"].item())

    trainer = bare_trainer(tmp_path, callbacks=[LambdaCallback(on_train_batch_end=look)])
    trainer.fit(shop.module(), datamodule=shop.data())
    assert trainer.callback_metrics["train_loss"].item() == pytest.approx(np.mean(losses))


def test_the_tiny_encoder_is_as_these_tests_think() -> None:
    assert TinyEncoder().embed(torch.zeros(2, 3, SIZE, SIZE)).shape == (2, 12)

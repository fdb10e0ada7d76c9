"""The validation of an epoch, against the retrieval figures of pytorch-metric-learning."""

from pathlib import Path

import numpy as np
import pytest
import torch
from pytorch_lightning.callbacks import LambdaCallback
from pytorch_metric_learning.distances import LpDistance
from pytorch_metric_learning.utils.accuracy_calculator import AccuracyCalculator
from pytorch_metric_learning.utils.inference import CustomKNN
from tiny_training import (
    Shop,
    bare_trainer,
    draw_shop,
)

from simtrain.catalog.store.reader import SourceImages
from simtrain.console import SILENT
from simtrain.data.batch import ImageBatch
from simtrain.data.embedding import EmbeddingSettings, embed_images

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*LeafSpec"),
    pytest.mark.filterwarnings("ignore:Total length of `list` across ranks is zero"),
]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    return draw_shop(tmp_path_factory.mktemp("shop"))


def library_figures(embeddings: np.ndarray, groups: np.ndarray) -> dict[str, float]:
    """Leave-one-out retrieval by pytorch-metric-learning."""
    calculator = AccuracyCalculator(
        include=("precision_at_1", "mean_average_precision_at_r", "r_precision", "mean_reciprocal_rank"),
        k=len(groups) - 1,
        knn_func=CustomKNN(LpDistance(normalize_embeddings=False)),
        device=torch.device("cpu"),
    )
    found = calculator.get_accuracy(torch.from_numpy(embeddings), torch.from_numpy(groups))
    return {
        "val_recall_at_1": found["precision_at_1"],
        "val_map_at_r": found["mean_average_precision_at_r"],
        "val_r_precision": found["r_precision"],
        "val_mrr": found["mean_reciprocal_rank"],
    }


def test_validation_is_retrieval_with_the_embeddings(shop: Shop, tmp_path: Path) -> None:
    module = shop.module()
    trainer = bare_trainer(tmp_path)
    trainer.validate(module, dataloaders=shop.data().val_dataloader(), verbose=False)
    embeddings = embed_images(
        module.encoder,
        SourceImages(paths=shop.paths),
        range(16, 24),
        settings=EmbeddingSettings(batch_size=8, workers=0, device=torch.device("cpu")),
        console=SILENT,
    )
    expected = library_figures(embeddings.numpy(), np.arange(8) // 2)
    found = {name: trainer.callback_metrics[name].item() for name in expected}
    assert found == pytest.approx(expected)


def test_validation_does_not_depend_on_the_order_of_batches(shop: Shop) -> None:
    module = shop.module().eval()
    told: list[dict[str, float]] = []
    batches: list[ImageBatch] = list(shop.data().val_dataloader())
    for order in (batches, batches[::-1]):
        figures: dict[str, float] = {}
        module.log = lambda name, value, figures=figures, **_: figures.update({name: value})
        for batch in order:
            module.validation_step(batch, 0)
        module.on_validation_epoch_end()
        told.append(figures)
    assert told[0] == told[1]
    assert len(told[0]) == 7


def test_validation_leaves_nothing_behind(shop: Shop, tmp_path: Path) -> None:
    figures = []
    look = LambdaCallback(on_validation_end=lambda trainer, _: figures.append(dict(trainer.callback_metrics)))
    module = shop.module(learning_rate=1e-12, weight_decay=0.0, freeze_batch_norm=True)
    bare_trainer(tmp_path, callbacks=[look], max_epochs=2).fit(module, datamodule=shop.data())
    assert figures[0]["val_mrr"] == figures[1]["val_mrr"]

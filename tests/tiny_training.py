"""A small network, a small shop of drawn pictures, and Lightning without its decorations."""

# Shapes: N images, S = 16, F = 12.

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytorch_lightning as pl
import torch
from PIL import Image, ImageDraw
from torch import Tensor, nn
from typing_extensions import override

from simtrain.builders.objective import SETTING_NAMES
from simtrain.catalog.store.reader import SourceImages
from simtrain.catalog.table import Catalog
from simtrain.data.batch import Batch
from simtrain.data.datamodule import CatalogData, LoaderSettings
from simtrain.data.datasets import CatalogImages, TrainingViews
from simtrain.data.presets import PRESETS
from simtrain.data.samplers import WHOLE, EpochBatches, Share, shuffled_plan
from simtrain.data.transforms import PartViews
from simtrain.encoders.base import Encoder
from simtrain.encoders.preprocessing import Preprocessing
from simtrain.evaluation.protocol import RetrievalTask, retrieval_task
from simtrain.evaluation.relevance import same
from simtrain.modules.global_batch import TrainingSettings
from simtrain.modules.heads import projection_head
from simtrain.modules.simclr import SimCLRModule, SimCLRSettings
from simtrain.training.optim import OptimizerSettings

SIZE = 16
PREPROCESSING = Preprocessing(
    image_size=SIZE,
    resize="pad",
    interpolation="bilinear",
    mean=(0.5, 0.5, 0.5),
    std=(0.5, 0.5, 0.5),
    flip_averaging=False,
)


class TinyEncoder(Encoder):
    """Two convolutions with batch normalisation and dropout between them."""

    def __init__(self, *, seed: int = 0, embedding_size: int | None = None, dropout: float = 0.0) -> None:
        torch.manual_seed(seed)
        super().__init__(preprocessing=PREPROCESSING, feature_size=12, embedding_size=embedding_size)
        self.network = nn.Sequential(
            nn.Conv2d(3, 8, kernel_size=3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Conv2d(8, 12, kernel_size=3, stride=2, padding=1),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
        )

    @override
    def features(self, images: Tensor) -> Tensor:
        return self.network(images)


class TinyAlignedEncoder(TinyEncoder):
    """Texts are vectors, one for each word `text 0`, `text 1` …, that learn or not."""

    def __init__(self, *, seed: int = 0, texts: int = 6, trains_text: bool = True) -> None:
        super().__init__(seed=seed)
        self.trains_text = trains_text
        self.words = nn.Embedding(texts, self.embedding_size).requires_grad_(trains_text)
        self.logit_scale = nn.Parameter(torch.tensor(2.0), requires_grad=False)
        self.logit_bias: nn.Parameter | None = None
        self.tokenized: list[list[str]] = []

    def embed_texts(self, texts: Sequence[str]) -> Tensor:
        return nn.functional.normalize(self.text_features(self.tokenize(texts)).detach(), dim=1)

    def tokenize(self, texts: Sequence[str]) -> dict[str, Tensor]:
        self.tokenized.append(list(texts))
        return {"places": torch.tensor([int(text.split()[1]) for text in texts])}

    def text_features(self, tokens: Mapping[str, Tensor]) -> Tensor:
        return self.words(tokens["places"])


def optimizer_settings(**changes: Any) -> OptimizerSettings:
    usual: dict[str, Any] = {
        "learning_rate": 0.01,
        "head_factor": 10.0,
        "weight_decay": 0.1,
        "betas": (0.9, 0.999),
        "warmup_fraction": 0.25,
        "layer_decay": 1.0,
    }
    return OptimizerSettings(**{**usual, **changes})


def training_settings(
    *,
    head_only_epochs: int = 0,
    freeze_batch_norm: bool = False,
    freeze: Sequence[str] = (),
    ema_decay: float | None = None,
    micro_batch_size: int | None = None,
    **optimizer: Any,
) -> TrainingSettings:
    return TrainingSettings(
        optimizer=optimizer_settings(**optimizer),
        head_only_epochs=head_only_epochs,
        freeze_batch_norm=freeze_batch_norm,
        freeze=freeze,
        ema_decay=ema_decay,
        micro_batch_size=micro_batch_size,
        seed=0,
        monitor="map_at_r",
        worst_queries=2,
        embedding_precision="32",
        names=SETTING_NAMES,
    )


def simclr_settings(*, temperature: float = 0.1) -> SimCLRSettings:
    return SimCLRSettings(temperature=temperature, decoupled=False, label_weight=0.0, false_negatives=None)


def draw_images(folder: Path, *, count: int, size: tuple[int, int] = (20, 20), seed: int = 0) -> list[Path]:
    """PNG files 00.png, 01.png …: a disc of its own colour and place on noise."""
    generator = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for number in range(count):
        image = Image.fromarray(generator.integers(120, 255, size=(size[1], size[0], 3), dtype=np.uint8))
        left, top = (int(generator.integers(0, max(1, side - 8))) for side in size)
        colour = tuple(int(value) for value in generator.integers(0, 255, size=3))
        ImageDraw.Draw(image).ellipse((left, top, left + 8, top + 8), fill=colour)
        paths.append(folder / f"{number:02d}.png")
        image.save(paths[-1])
    return paths


def catalog_of(folder: Path, **columns: Sequence[Any]) -> Catalog:
    """A catalogue of the columns given; ids, paths, flags and the split `train` fill themselves in."""
    count = len(next(iter(columns.values())))
    usual: dict[str, Any] = {
        "id": [f"i{row:02d}" for row in range(count)],
        "path": [f"{row:02d}.png" for row in range(count)],
        "split": ["train"] * count,
        "product": [None] * count,
        "label": [None] * count,
        "caption": [None] * count,
        "query": [True] * count,
        "gallery": [True] * count,
        "duplicate_group": [None] * count,
    }
    rows = pd.DataFrame({**usual, **{name: list(values) for name, values in columns.items()}})
    return Catalog(rows=rows, root=folder, folder=folder)


def noise_batch(*, samples: int, views: int, labels: Sequence[int] | None = None, seed: int = 0) -> Batch:
    """A batch of noise; the labels are 0, 0, 1, 1 … unless given."""
    generator = torch.Generator().manual_seed(seed)
    shape = (samples, views, SIZE, SIZE, 3)
    return Batch(
        views=torch.randint(0, 256, shape, generator=generator, dtype=torch.uint8),
        labels=torch.arange(samples) // 2 if labels is None else torch.tensor(labels),
        rows=torch.arange(samples)[:, None].expand(samples, views),
    )


@dataclass(frozen=True)
class Shop:
    """8 products of 2 pictures to train on, 4 to validate on."""

    catalog: Catalog
    paths: list[Path]
    task: RetrievalTask

    def data(self, *, validate: bool = True, batch_size: int = 4, share: Share = WHOLE) -> CatalogData:
        """Two augmented views of each training image, in 16 / batch_size batches; 2 batches to validate on."""
        training = TrainingViews(
            images=SourceImages(paths=self.paths),
            labels=self.catalog.groups(["product"]),
            views=2,
            preprocessing=PREPROCESSING,
            transform=PartViews(PRESETS["color_sensitive"], image_size=SIZE),
            seed=3,
        )
        images = CatalogImages(
            images=SourceImages(paths=self.paths), rows=self.task.rows.tolist(), preprocessing=PREPROCESSING
        )
        return CatalogData(
            training=training,
            batches=EpochBatches(
                plan=shuffled_plan(self.catalog.rows_of(["train"]), batch_size=batch_size, seed=3), share=share
            ),
            validation=images if validate else None,
            loading=LoaderSettings(evaluation_batch_size=4, workers=0, pin_memory=False, share=share),
        )

    def module(self, *, encoder: TinyEncoder | None = None, validate: bool = True, **settings: Any) -> SimCLRModule:
        """SimCLR with a projection head, the same weights each time."""
        encoder = encoder if encoder is not None else TinyEncoder(seed=1)
        torch.manual_seed(2)
        return SimCLRModule(
            objective=simclr_settings(),
            encoder=encoder,
            head=projection_head(input_size=encoder.embedding_size, hidden_size=8, output_size=4),
            settings=training_settings(**settings),
            validation=self.task if validate else None,
        )


def draw_shop(folder: Path) -> Shop:
    paths = draw_images(folder, count=24)
    catalog = catalog_of(folder, product=[f"p{row // 2:02d}" for row in range(24)], split=["train"] * 16 + ["val"] * 8)
    task = retrieval_task(catalog, split="val", gallery_splits=None, relevance=same(["product"]))
    return Shop(catalog=catalog, paths=paths, task=task)


def bare_trainer(folder: Path, *, callbacks: Sequence[pl.Callback] = (), **settings: Any) -> pl.Trainer:
    """Lightning as `simtrain fit` uses it, on the CPU and silent."""
    usual: dict[str, Any] = {
        "accelerator": "cpu",
        "devices": 1,
        "logger": False,
        "enable_checkpointing": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
        "num_sanity_val_steps": 0,
        "use_distributed_sampler": False,
        "max_epochs": 1,
    }
    return pl.Trainer(default_root_dir=folder, callbacks=list(callbacks), **{**usual, **settings})

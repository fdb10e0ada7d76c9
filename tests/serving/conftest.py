"""A tiny shop, a tiny network, and bundles of them."""

# Shapes: N = 40 pictures, S = 8, D = 16.

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from torch import Tensor, nn
from typing_extensions import override

from simtrain.catalog.images import read_image
from simtrain.encoders.arithmetic import FLOAT32
from simtrain.encoders.base import Encoder
from simtrain.encoders.preprocessing import Preprocessing
from simtrain.serving.bundle import Bundle
from simtrain.serving.bundle_writer import BundleContent, IndexSettings, write_bundle

COUNT = 40


class ConvEncoder(Encoder):
    """Convolution, pooling, and what differs between training and evaluating: batch normalisation and dropout."""

    def __init__(self, *, preprocessing: Preprocessing, seed: int) -> None:
        torch.manual_seed(seed)
        super().__init__(preprocessing=preprocessing, feature_size=64, embedding_size=16)
        self.network = nn.Sequential(
            nn.Conv2d(3, 16, kernel_size=3, stride=2, padding=1),
            nn.BatchNorm2d(16),
            nn.Tanh(),
            nn.Dropout(0.5),
            nn.AdaptiveAvgPool2d(2),
            nn.Flatten(),
        )
        self.network[1].running_mean.uniform_(-0.2, 0.2)

    @override
    def features(self, images: Tensor) -> Tensor:
        return self.network(images)


@dataclass(frozen=True)
class Shop:
    root: Path
    items: pd.DataFrame
    encoder: Encoder
    embeddings: NDArray[np.float32]

    def picture(self, name: str) -> NDArray[np.uint8]:
        return read_image(self.root / self.items.set_index("id").loc[name, "path"])


def preprocessing(**changes: Any) -> Preprocessing:
    usual = Preprocessing(
        image_size=8,
        resize="pad",
        interpolation="bilinear",
        mean=(0.5, 0.4, 0.3),
        std=(0.25, 0.25, 0.25),
        flip_averaging=False,
    )
    return replace(usual, **changes)


def re_create(config: dict[str, Any], prepared: Preprocessing) -> Encoder:
    """The network that the configuration names, with other weights than any bundle has."""
    assert config == {"kind": "conv", "model": "tiny"}
    return ConvEncoder(preprocessing=prepared, seed=99)


def embed(encoder: Encoder, pictures: list[NDArray[np.uint8]]) -> NDArray[np.float32]:
    pixels = torch.from_numpy(np.stack([encoder.preprocessing.pixels(picture) for picture in pictures]))
    return encoder.embed_pixels(pixels).numpy()


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """Drawn pictures of several sizes; `p03` and `p07` are the same picture; ids are not in the order of rows."""
    root = tmp_path_factory.mktemp("shop")
    generator = np.random.default_rng(5)
    for number in range(COUNT):
        drawn = np.random.default_rng(3) if number in (3, 7) else generator
        width, height = drawn.integers(20, 60, size=2)
        image = Image.new("RGB", (int(width), int(height)), "white")
        for _ in range(3):
            left, top = drawn.integers(0, 30, size=2)
            colour = tuple(int(value) for value in drawn.integers(0, 255, size=3))
            ImageDraw.Draw(image).ellipse((left, top, left + 20, top + 14), fill=colour)
        image.save(root / f"{number:02d}.png")
    names = [f"p{number:02d}" for number in range(COUNT)]
    items = pd.DataFrame(
        {
            "id": names,
            "path": [f"{number:02d}.png" for number in range(COUNT)],
            "product": [f"product {number // 2}" if number % 5 else None for number in range(COUNT)],
            "label": ["lamp", "chair"] * (COUNT // 2),
            "caption": [None, "a red one"] * (COUNT // 2),
            "query": [True, False] * (COUNT // 2),
            "price": np.where(np.arange(COUNT) % 3 == 0, np.nan, np.arange(COUNT) * 1.5),
        }
    ).sample(frac=1, random_state=0)
    encoder = ConvEncoder(preprocessing=preprocessing(), seed=1).eval()
    embeddings = embed(encoder, [read_image(root / path) for path in items["path"]])
    return Shop(root=root, items=items, encoder=encoder, embeddings=embeddings)


@pytest.fixture(scope="session")
def content(shop: Shop) -> BundleContent:
    return BundleContent(
        encoder=shop.encoder,
        code=None,
        encoder_config={"kind": "conv", "model": "tiny"},
        embeddings=shop.embeddings,
        arithmetic=FLOAT32,
        items=shop.items,
        root=shop.root,
        relocatable=True,
        run={"name": "first", "config": {"seed": 0}, "data": "abc"},
        metrics={"map_at_r": {"value": 0.5, "low": 0.4, "high": 0.6}},
        thresholds=None,
        no_thresholds="not measured",
        index=IndexSettings(factory="Flat", wanted_recall=0.99, stored_as="float32"),
    )


@pytest.fixture(scope="session")
def other_content(content: BundleContent, shop: Shop) -> BundleContent:
    """The same shop under another encoder."""
    encoder = ConvEncoder(preprocessing=preprocessing(), seed=2).eval()
    pictures = [read_image(shop.root / path) for path in shop.items["path"]]
    return replace(content, encoder=encoder, embeddings=embed(encoder, pictures))


@pytest.fixture
def folder(content: BundleContent, tmp_path: Path) -> Path:
    """A bundle that the test may spoil."""
    return write_bundle(content, tmp_path / "bundle", formats=())


@pytest.fixture
def other_folder(other_content: BundleContent, tmp_path: Path) -> Path:
    return write_bundle(other_content, tmp_path / "other", formats=())


@pytest.fixture
def bundle(folder: Path) -> Bundle:
    return Bundle.open(folder)


@pytest.fixture(scope="session")
def factory() -> Callable[[dict[str, Any], Preprocessing], Encoder]:
    return re_create


@pytest.fixture(scope="session")
def make_encoder() -> Callable[..., Encoder]:
    """`make_encoder(seed=…, **changes)`: the tiny network; changes go to its preprocessing."""

    def make(*, seed: int, **changes: Any) -> Encoder:
        return ConvEncoder(preprocessing=preprocessing(**changes), seed=seed).eval()

    return make

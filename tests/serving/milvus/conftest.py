"""A shop's items with embeddings that need no encoder, in an embedded Milvus of the test's own."""

# Shapes: N = 60 items, D = 8.

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from simtrain.serving.milvus.connection import MilvusAddress
from simtrain.serving.milvus.source import Block

COUNT, SIZE = 60, 8


@dataclass(frozen=True, kw_only=True)
class Items:
    """A source in memory."""

    items: pd.DataFrame
    embeddings: NDArray[np.float32]
    fingerprint: str = "a" * 64
    name: str = "shop"
    bundle: Path | None = None

    @property
    def dimensions(self) -> int:
        return self.embeddings.shape[1]

    def columns(self) -> pd.DataFrame:
        return self.items

    def count(self) -> int:
        return len(self.items)

    def blocks(self, size: int) -> Iterator[Block]:
        for start in range(0, len(self.items), size):
            yield self.items.iloc[start : start + size], self.embeddings[start : start + size]


@pytest.fixture(scope="session")
def items() -> Items:
    generator = np.random.default_rng(3)
    vectors = generator.normal(size=(COUNT, SIZE)).astype(np.float32)
    table = pd.DataFrame(
        {
            "id": [f"sku {number:02d}" for number in range(COUNT)],
            "path": [f"{number}.png" for number in range(COUNT)],
            "Preis €": np.where(np.arange(COUNT) % 4 == 0, np.nan, np.arange(COUNT) / 2),
            "color": [None if number % 5 == 0 else ["red", "blue"][number % 2] for number in range(COUNT)],
            "stock": np.arange(COUNT, dtype=np.int64),
            "on_sale": np.arange(COUNT) % 3 == 0,
        }
    )
    return Items(items=table, embeddings=vectors / np.linalg.norm(vectors, axis=1, keepdims=True))


@pytest.fixture
def address(tmp_path: Path) -> MilvusAddress:
    return MilvusAddress.of(f"milvus:{tmp_path / 'shop.db'}")

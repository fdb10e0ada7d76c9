"""Modules of a user's own, written to a folder for tests of what a configuration may name."""

import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PARTS = """
import io
from pathlib import Path

import torch
import torch.nn.functional as F
from PIL import Image
from torch import nn

Path(__file__).with_suffix(".imported").touch()


class MyEncoder(nn.Module):
    preprocessing = {"image_size": 32, "mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5), "resize": "squash"}

    def __init__(self, width=4):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(3, width, 5, stride=4), nn.ReLU(), nn.Conv2d(width, 16, 3), nn.AdaptiveAvgPool2d(2), nn.Flatten()
        )

    def forward(self, images):
        return self.layers(images)


class MyLoss(nn.Module):
    def __init__(self, temperature, embedding_size):
        super().__init__()
        self.temperature = temperature
        self.scale = nn.Parameter(torch.ones(embedding_size))

    def forward(self, embeddings, labels):
        return contrast(embeddings * self.scale, labels, temperature=self.temperature)


def contrast(embeddings, labels, temperature=0.2):
    unit = F.normalize(embeddings, dim=1)
    logits = (unit @ unit.T / temperature).fill_diagonal_(-1e4)
    same = (labels[:, None] == labels[None]).float().fill_diagonal_(0)
    return -(F.log_softmax(logits, dim=1) * same).sum() / same.sum()


def rows():
    for product in range(16):
        for view in range(4):
            picture = io.BytesIO()
            Image.new("RGB", (64, 64 + view), (product * 15, view * 60, 100)).save(picture, "PNG")
            yield {"image": picture.getvalue(), "product": f"p{product}", "shelf": product % 3}
"""
"""An encoder, a loss with weights, a loss that is a function, and a source; a file beside it tells that it ran."""


class OwnModule:
    """A module below a folder.

    Attributes:
        name: What it is imported by.
        folder: Where it is.
    """

    def __init__(self, folder: Path, content: str = PARTS) -> None:
        self.name, self.folder = f"parts_{uuid.uuid4().hex[:8]}", folder
        (folder / f"{self.name}.py").write_text(content)

    @property
    def was_imported(self) -> bool:
        """Whether its code has run in any process."""
        return (self.folder / f"{self.name}.imported").exists()

    def target(self, name: str) -> str:
        """Path of something in it."""
        return f"{self.name}:{name}"

    @contextmanager
    def importable(self) -> Iterator["OwnModule"]:
        """Within, this process finds it."""
        sys.path.insert(0, str(self.folder))
        try:
            yield self
        finally:
            sys.path.remove(str(self.folder))
            sys.modules.pop(self.name, None)

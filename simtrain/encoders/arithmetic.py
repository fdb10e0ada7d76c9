"""Arithmetic in which images are embedded: float32, TensorFloat-32, or halves by autocast."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import torch

Precision = Literal["32", "tf32", "bf16", "16"]
"""`32`: IEEE float32; `tf32`: float32 whose products have 10 bits; `bf16` and `16`: autocast to that half."""

_HALVES: dict[Precision, torch.dtype] = {"bf16": torch.bfloat16, "16": torch.float16}


@dataclass(frozen=True, kw_only=True)
class Arithmetic:
    """How embeddings were computed.

    Attributes:
        precision: Arithmetic of the network; what comes after it is float32.
        lowest_cosine: Lowest cosine of these embeddings with those in float32, on a sample; None: they are float32.
        images: Number of images in the sample; 0: they are float32.
    """

    precision: Precision = "32"
    lowest_cosine: float | None = None
    images: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; of float32 the precision alone."""
        if self.lowest_cosine is None:
            return {"precision": self.precision}
        cosine = round(self.lowest_cosine, 6)
        return {"precision": self.precision, "lowest_cosine_with_float32": cosine, "images": self.images}

    @staticmethod
    def from_dict(values: dict[str, Any]) -> "Arithmetic":
        """The inverse of `to_dict`; nothing is float32, as it was before there was a choice."""
        return Arithmetic(
            precision=values.get("precision", "32"),
            lowest_cosine=values.get("lowest_cosine_with_float32"),
            images=int(values.get("images", 0)),
        )

    def __str__(self) -> str:
        if self.lowest_cosine is None:
            return f"embedded in {self.precision}"
        return (
            f"embedded in {self.precision}: on {self.images} images the lowest cosine with float32 is "
            f"{self.lowest_cosine:.4f}"
        )


FLOAT32 = Arithmetic()
"""What golden embeddings, verification and search compute in."""


def in_halves(precision: Precision) -> bool:
    """Whether autocast is on."""
    return precision in _HALVES


@contextmanager
def computing_in(precision: Precision, *, device: torch.device) -> Iterator[None]:
    """Compute in this arithmetic; what is set outside comes back.

    Args:
        precision: The arithmetic.
        device: Device of the tensors.
    """
    half = _HALVES.get(precision)
    with _float32_products(precision), torch.autocast(device.type, dtype=half, enabled=half is not None):
        yield


@contextmanager
def _float32_products(precision: Precision) -> Iterator[None]:
    """TensorFloat-32 only where it is asked for: it differs by more than a bundle's check allows."""
    convolutions = torch.backends.cudnn.conv  # type: ignore[attr-defined]  # made at run time
    settings = [convolutions, torch.backends.cuda.matmul] if precision == "tf32" else [convolutions]
    before = [setting.fp32_precision for setting in settings]
    for setting in settings:
        setting.fp32_precision = "tf32" if precision == "tf32" else "ieee"
    try:
        yield
    finally:
        for setting, value in zip(settings, before, strict=True):
            setting.fp32_precision = value

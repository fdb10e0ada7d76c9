"""Sizes that a configuration claims, held against the weights that are there, before memory is taken for them.

A configuration is a few bytes that anybody can change: with `num_hidden_layers: 100000` beside the weights of two a
library builds all of them before it finds that they are not there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from simtrain.errors import CheckpointError

_COUNTS = frozenset({"num_hidden_layers", "num_layers", "n_layers", "n_layer"})
_SIZES = frozenset({"hidden_size", "intermediate_size", "vocab_size", "projection_dim", "d_model", "embedding_size"})
_POSITIONS_OF_ONE = 16  # networks without a position for each patch, such as a Swin, have tensors smaller than that


def check_claimed_sizes(config: Mapping[str, Any], weights: Path, *, where: str) -> None:
    """Refuse a configuration whose network cannot be the one of these weights: more layers, or wider ones.

    It is no check that they fit, which opening them is: only a bound on what opening them may cost.

    Args:
        config: Configuration of a network, with those of its parts in it.
        weights: Its `.safetensors` file; only its header is read.
        where: What the configuration is, for the message.

    Raises:
        CheckpointError: naming the key, what it claims, and what the weights have.
    """
    shapes = _shapes(weights)
    largest = max((size for shape in shapes for size in shape), default=0)
    for key, claimed, allowed in _claims(config, tensors=len(shapes), largest=largest):
        if claimed > allowed:
            raise CheckpointError(f"{where}: {key} is {claimed}, which {weights.name} does not hold: {allowed} at most")


def _claims(config: Mapping[str, Any], *, tensors: int, largest: int) -> Iterator[tuple[str, int, int]]:
    """Each key that speaks of a size, what it claims, and the most that the weights can have."""
    for key, value in config.items():
        if isinstance(value, Mapping):
            yield from _claims(value, tensors=tensors, largest=largest)
        elif isinstance(value, int) and key in _COUNTS:
            yield key, value, tensors
        elif isinstance(value, int) and key in _SIZES:
            yield key, value, largest
    image, patch = config.get("image_size"), config.get("patch_size")
    if isinstance(image, int) and isinstance(patch, int) and patch >= 1:
        yield "image_size", image, int((_POSITIONS_OF_ONE * largest) ** 0.5 + 1) * patch


def _shapes(weights: Path) -> list[list[int]]:
    try:
        with safe_open(weights, framework="np") as file:
            return [file.get_slice(name).get_shape() for name in file.keys()]  # noqa: SIM118 - it is no mapping
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{weights}: cannot be read: {error}") from None

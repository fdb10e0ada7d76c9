"""Sizes that a configuration claims and the weights do not have."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from simtrain.encoders.claimed_sizes import check_claimed_sizes
from simtrain.errors import CheckpointError

CONFIG = {
    "text_config": {"hidden_size": 8, "vocab_size": 40, "num_hidden_layers": 3, "max_position_embeddings": 10**6},
    "vision_config": {"hidden_size": 8, "image_size": 32, "patch_size": 8},
    "projection_dim": 8,
}


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    path = tmp_path / "model.safetensors"
    tensors = {"embeddings": (40, 8), "a": (8, 8), "b": (8, 8), "c": (8, 8)}
    save_file({name: np.zeros(shape, dtype=np.float32) for name, shape in tensors.items()}, path)
    return path


def test_a_network_of_its_weights_passes(weights: Path):
    check_claimed_sizes(CONFIG, weights, where="config.json")


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"text_config": {"num_hidden_layers": 5}}, "num_hidden_layers is 5, which model.safetensors does not hold: 4"),
        ({"text_config": {"vocab_size": 41}}, "vocab_size is 41, which model.safetensors does not hold: 40"),
        ({"projection_dim": 10**9}, "projection_dim is 1000000000, which model.safetensors does not hold: 40"),
        # 16 times 40 positions are a square of 25 patches, and one more for what is not an image: 26 of 8 pixels
        ({"vision_config": {"image_size": 209, "patch_size": 8}}, "image_size is 209, .* not hold: 208"),
    ],
)
def test_what_the_weights_cannot_hold_is_refused(weights: Path, changed: dict[str, Any], expected: str):
    with pytest.raises(CheckpointError, match=rf"^config\.json: {expected} at most$"):
        check_claimed_sizes(CONFIG | changed, weights, where="config.json")


def test_weights_that_cannot_be_read_are_named(tmp_path: Path):
    (tmp_path / "model.safetensors").write_bytes(b"\xff" * 64)
    with pytest.raises(CheckpointError, match=r"model\.safetensors: cannot be read: "):
        check_claimed_sizes(CONFIG, tmp_path / "model.safetensors", where="config.json")

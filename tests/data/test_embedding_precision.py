"""Choice of the arithmetic of embedding, on cards and processors that are not there."""

import re

import pytest
import torch
from tiny_training import TinyEncoder
from torch import Tensor, nn
from typing_extensions import override

from simtrain.data import embedding_precision
from simtrain.data.embedding_precision import (
    agree_on_embedding_precision,
    chosen_embedding_precision,
    has_bf16_instructions,
)
from simtrain.encoders.base import Encoder
from simtrain.encoders.baseline import PixelsEncoder
from simtrain.encoders.cost import ForwardCost
from simtrain.errors import ConfigError

CPU, GPU = torch.device("cpu"), torch.device("cuda")


@pytest.fixture(autouse=True)
def nothing_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedding_precision, "_chosen", {})


def on_card(monkeypatch: pytest.MonkeyPatch, capability: tuple[int, int]) -> str:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _device: capability)
    return chosen_embedding_precision("auto", TinyEncoder(), device=GPU)


@pytest.mark.parametrize(
    ("capability", "precision"),
    [((9, 0), "bf16"), ((8, 0), "bf16"), ((7, 5), "16"), ((7, 0), "16"), ((6, 1), "32")],
    ids=["H200", "A100", "T4", "V100", "GTX 1080"],
)
def test_a_card_decides(monkeypatch: pytest.MonkeyPatch, capability: tuple[int, int], precision: str) -> None:
    assert on_card(monkeypatch, capability) == precision


def test_a_network_without_weights_stays_float32() -> None:
    pixels = PixelsEncoder(image_size=8, resize="pad")
    assert chosen_embedding_precision("auto", pixels, device=GPU) == "32"


class Convolving(TinyEncoder):
    """With a convolution of 5 x 5 before its own two, which take 27,648 operations each."""

    def __init__(self, *, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, channels, kernel_size=5, padding=2)

    @override
    def features(self, images: Tensor) -> Tensor:
        return super().features(self.first(images)[:, :3])


@pytest.mark.parametrize(("channels", "precision"), [(6508, "32"), (6509, "bf16")])
def test_a_processor_with_bf16_instructions_takes_it_for_250_million_operations(
    monkeypatch: pytest.MonkeyPatch, channels: int, precision: str
) -> None:
    encoder = Convolving(channels=channels)  # 2 x 16 x 16 x 5 x 5 x 3 operations for each channel
    monkeypatch.setattr(embedding_precision, "has_bf16_instructions", lambda: True)
    assert chosen_embedding_precision("auto", encoder, device=CPU) == precision
    monkeypatch.setattr(embedding_precision, "_chosen", {})
    monkeypatch.setattr(embedding_precision, "has_bf16_instructions", lambda: False)
    assert chosen_embedding_precision("auto", encoder, device=CPU) == "32"


def test_a_network_is_counted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    counted: list[Encoder] = []

    def cost(encoder: Encoder, *, image_size: int) -> ForwardCost:
        counted.append(encoder)
        return ForwardCost(operations=10**9, outputs=1)

    monkeypatch.setattr(embedding_precision, "has_bf16_instructions", lambda: True)
    monkeypatch.setattr(embedding_precision, "forward_cost", cost)
    encoder = TinyEncoder()
    assert {chosen_embedding_precision("auto", encoder, device=CPU) for _ in range(2)} == {"bf16"}
    assert counted == [encoder]


@pytest.mark.parametrize("setting", ["16", "tf32"])
def test_what_needs_a_gpu_is_refused_without(setting: str) -> None:
    expected = f"precision: got {setting}, which needs a GPU; allowed without: auto, 32, bf16"
    with pytest.raises(ConfigError, match=re.escape(expected)):
        chosen_embedding_precision(setting, TinyEncoder(), device=CPU)


def test_a_named_arithmetic_is_taken() -> None:
    assert chosen_embedding_precision("bf16", TinyEncoder(), device=CPU) == "bf16"
    assert chosen_embedding_precision("tf32", TinyEncoder(), device=GPU) == "tf32"
    with pytest.raises(ValueError, match=r"precision is 'half'; allowed: auto, 32, tf32, bf16, 16"):
        chosen_embedding_precision("half", TinyEncoder(), device=CPU)


def test_the_first_process_chooses_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _device: (7, 5))
    monkeypatch.setattr(embedding_precision, "broadcast_from_rank_zero", lambda _own: "bf16")
    assert agree_on_embedding_precision("auto", TinyEncoder(), device=GPU) == "bf16"
    assert chosen_embedding_precision("auto", TinyEncoder(), device=GPU) == "bf16"


def test_the_processor_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    for avx, amx in [(False, False), (True, False), (False, True)]:
        monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda avx=avx: avx)
        monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda amx=amx: amx)
        assert has_bf16_instructions() == (avx or amx)

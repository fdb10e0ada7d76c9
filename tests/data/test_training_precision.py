"""Choice of the arithmetic of training, on processors that are not there."""

import pytest
import torch
from tiny_training import TinyEncoder

from simtrain.data import training_precision
from simtrain.data.training_precision import trained_precision
from simtrain.encoders.base import Encoder
from simtrain.encoders.baseline import PixelsEncoder
from simtrain.encoders.cost import ForwardCost
from simtrain.errors import ConfigError

CPU = torch.device("cpu")
BF16 = ("bf16-mixed", "trains in bf16, for which this processor has instructions")
FLOAT32 = ("32-true", None)
NO_GAIN = ("32-true", "trains in float32: on a processor this network gains nothing by bf16")


def on_processor(monkeypatch: pytest.MonkeyPatch, *, bf16: bool, operations: int = 10**9, outputs: int = 10**6) -> None:
    def cost(encoder: Encoder, *, image_size: int) -> ForwardCost:
        return ForwardCost(operations=operations, outputs=outputs)

    monkeypatch.setattr(training_precision, "has_bf16_instructions", lambda: bf16)
    monkeypatch.setattr(training_precision, "forward_cost", cost)


@pytest.mark.parametrize(
    ("operations", "outputs", "expected"),
    [
        (500_000_000, 2_500_000, BF16),
        (499_999_999, 1_000_000, FLOAT32),  # too little to win
        (8_200_000_000, 11_100_000, BF16),  # ResNet-50 at 224 pixels
        (770_000_000, 6_700_000, NO_GAIN),  # EfficientNet-Lite0 at 224: 115 operations for each number
    ],
)
def test_a_processor_with_bf16_instructions_goes_by_what_a_view_takes(
    monkeypatch: pytest.MonkeyPatch, operations: int, outputs: int, expected: tuple[str, str | None]
) -> None:
    on_processor(monkeypatch, bf16=True, operations=operations, outputs=outputs)
    assert trained_precision("auto", TinyEncoder(), device=CPU) == expected


def test_nothing_is_said_where_there_is_no_choice(monkeypatch: pytest.MonkeyPatch) -> None:
    on_processor(monkeypatch, bf16=False)
    assert trained_precision("auto", TinyEncoder(), device=CPU) == FLOAT32
    on_processor(monkeypatch, bf16=True)
    for setting in ("32-true", "bf16-mixed"):
        assert trained_precision(setting, TinyEncoder(), device=CPU) == (setting, None)
    assert trained_precision("auto", PixelsEncoder(image_size=8, resize="pad"), device=CPU) == FLOAT32
    frozen = TinyEncoder().requires_grad_(False)
    assert trained_precision("auto", frozen, device=CPU) == FLOAT32
    with pytest.raises(ConfigError, match=r"precision: 16-mixed needs a GPU; allowed without: auto"):
        trained_precision("16-mixed", TinyEncoder(), device=CPU)


def test_a_card_decides_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    on_processor(monkeypatch, bf16=True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: True)
    assert trained_precision("auto", TinyEncoder(), device=torch.device("cuda")) == ("bf16-mixed", None)

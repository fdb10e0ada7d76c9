"""Choice of the arithmetic of training, on processors that are not there, and the trial that it rests on."""

from collections.abc import Iterator

import pytest
import torch
from tiny_training import TinyEncoder
from torch import Tensor

from simtrain.data import training_precision
from simtrain.data.training_precision import bf16_training_speed, trained_precision
from simtrain.encoders.base import Encoder
from simtrain.encoders.baseline import PixelsEncoder
from simtrain.errors import ConfigError

CPU = torch.device("cpu")
HERE = "on this processor"


def without_trial(encoder: Encoder) -> float:
    raise AssertionError("tried")


def on_processor(monkeypatch: pytest.MonkeyPatch, *, bf16: bool, speed: float | None = None) -> None:
    monkeypatch.setattr(training_precision, "has_bf16_instructions", lambda: bf16)
    trial = without_trial if speed is None else lambda _encoder: speed
    monkeypatch.setattr(training_precision, "bf16_training_speed", trial)


@pytest.mark.parametrize(
    ("speed", "precision", "told"),
    [
        (2.2, "bf16-mixed", f"trains in bf16: 2.2 times as fast as float32 {HERE}"),
        (1.3, "bf16-mixed", f"trains in bf16: 1.3 times as fast as float32 {HERE}"),
        (1.29, "32-true", f"trains in float32: in bf16 it is 1.3 times as fast {HERE}"),
        (0.64, "32-true", f"trains in float32: in bf16 it is 0.6 times as fast {HERE}"),
    ],
)
def test_a_processor_takes_what_is_clearly_faster_and_says_so(
    monkeypatch: pytest.MonkeyPatch, speed: float, precision: str, told: str
) -> None:
    on_processor(monkeypatch, bf16=True, speed=speed)
    assert trained_precision("auto", TinyEncoder(), device=CPU) == (precision, told)


def test_nothing_is_said_where_there_is_no_choice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training_precision, "has_bf16_instructions", lambda: True)
    assert trained_precision("auto", TinyEncoder(), device=CPU) == ("32-true", None)  # tried, of no time
    on_processor(monkeypatch, bf16=False)
    assert trained_precision("auto", TinyEncoder(), device=CPU) == ("32-true", None)
    on_processor(monkeypatch, bf16=True)
    for setting in ("32-true", "bf16-mixed"):
        assert trained_precision(setting, TinyEncoder(), device=CPU) == (setting, None)
    assert trained_precision("auto", PixelsEncoder(image_size=8, resize="pad"), device=CPU) == ("32-true", None)
    with pytest.raises(ConfigError, match=r"precision: 16-mixed needs a GPU; allowed without: auto"):
        trained_precision("16-mixed", TinyEncoder(), device=CPU)


def test_a_step_that_takes_no_time_is_not_worth_a_choice() -> None:
    seconds = iter([0.019, 0.001, 0.03, 0.001, 0.03, 0.001])
    assert bf16_training_speed(TinyEncoder(), clock=Clock(seconds).read) is None


def test_a_card_decides_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    on_processor(monkeypatch, bf16=True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: True)
    assert trained_precision("auto", TinyEncoder(), device=torch.device("cuda")) == ("bf16-mixed", None)


class Watched(TinyEncoder):
    """Notes the arithmetic of each pass."""

    passes: list[bool]

    def forward(self, images: Tensor) -> Tensor:
        self.passes.append(torch.is_autocast_enabled("cpu"))
        return super().forward(images)


def test_the_trial_times_both_after_a_first_step_and_takes_the_best(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Watched, "passes", [], raising=False)
    encoder = Watched().eval()
    assert bf16_training_speed(encoder, clock=Clock(iter([4.0, 3.0, 5.0, 1.0, 2.0, 6.0])).read) == pytest.approx(2.0)
    assert Watched.passes == [False, True] * 4  # float32, bf16; the first of each is not timed


class Clock:
    """Stands still but for the given seconds between the two looks at a step; each first step has one look."""

    def __init__(self, seconds: Iterator[float]) -> None:
        self._seconds, self._now, self._looks = seconds, 0.0, 0

    def read(self) -> float:
        self._looks += 1
        if self._looks > 2 and self._looks % 2 == 0:
            self._now += next(self._seconds)
        return self._now


def test_the_trial_leaves_weights_gradients_mode_and_random_numbers() -> None:
    encoder = TinyEncoder(dropout=0.5).eval()
    weights = {name: value.clone() for name, value in encoder.state_dict().items()}
    before = torch.get_rng_state()
    bf16_training_speed(encoder)
    assert not encoder.training
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(value, weights[name]) for name, value in encoder.state_dict().items())
    assert all(weight.grad is None for weight in encoder.parameters())

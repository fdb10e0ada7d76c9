"""Choice of the arithmetic of embedding, on cards and processors that are not there."""

import re
from collections.abc import Iterator

import pytest
import torch
from tiny_training import TinyEncoder

from simtrain.data import embedding_precision
from simtrain.data.embedding_precision import (
    agree_on_embedding_precision,
    bf16_speed,
    chosen_embedding_precision,
    has_bf16_instructions,
)
from simtrain.encoders.base import Encoder
from simtrain.encoders.baseline import PixelsEncoder
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


def without_trial(encoder: Encoder) -> float:
    raise AssertionError("tried")


def test_a_processor_without_bf16_instructions_tries_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedding_precision, "has_bf16_instructions", lambda: False)
    monkeypatch.setattr(embedding_precision, "bf16_speed", without_trial)
    assert chosen_embedding_precision("auto", TinyEncoder(), device=CPU) == "32"


@pytest.mark.parametrize(("speed", "precision"), [(1.3, "bf16"), (3.1, "bf16"), (1.29, "32"), (None, "32")])
def test_a_processor_with_them_takes_what_is_clearly_faster(
    monkeypatch: pytest.MonkeyPatch, speed: float | None, precision: str
) -> None:
    monkeypatch.setattr(embedding_precision, "has_bf16_instructions", lambda: True)
    monkeypatch.setattr(embedding_precision, "bf16_speed", lambda _encoder: speed)
    assert chosen_embedding_precision("auto", TinyEncoder(), device=CPU) == precision


def test_a_network_is_tried_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedding_precision, "has_bf16_instructions", lambda: True)
    monkeypatch.setattr(embedding_precision, "bf16_speed", lambda _encoder: 2.0)
    assert chosen_embedding_precision("auto", TinyEncoder(), device=CPU) == "bf16"
    monkeypatch.setattr(embedding_precision, "bf16_speed", without_trial)
    assert chosen_embedding_precision("auto", TinyEncoder(), device=CPU) == "bf16"


def test_the_trial_times_both_after_a_first_pass_and_takes_the_best() -> None:
    # Passes in order: warm-up of both, then float32 and bf16 three times; the clock is read before and after each.
    seconds = iter([9.0, 9.0, 4.0, 3.0, 5.0, 1.0, 2.0, 6.0])
    spent = bf16_speed(TinyEncoder().train(), clock=_clock(seconds))
    assert spent == pytest.approx(2.0 / 1.0)


def test_what_takes_less_time_than_reading_is_not_worth_a_choice() -> None:
    seconds = iter([9.0, 9.0, 0.019, 0.001, 0.03, 0.001, 0.03, 0.001])
    assert bf16_speed(TinyEncoder(), clock=_clock(seconds)) is None
    seconds = iter([9.0, 9.0, 0.021, 0.007, 0.03, 0.01, 0.03, 0.01])
    assert bf16_speed(TinyEncoder(), clock=_clock(seconds)) == pytest.approx(3.0)


def _clock(seconds: Iterator[float]) -> "_Clock":
    return _Clock(seconds)


class _Clock:
    """A clock that stands still but for the given seconds between the two looks at a pass; a warm-up has one look."""

    def __init__(self, seconds: Iterator[float]) -> None:
        self._seconds, self._now, self._looks = list(seconds), 0.0, 0

    def __call__(self) -> float:
        self._looks += 1
        if self._looks <= 2:  # one look at each warm-up
            return self._now
        number = self._looks - 3
        if number % 2:
            self._now += self._seconds[2 + number // 2]
        return self._now


def test_the_trial_leaves_the_mode_and_the_random_numbers() -> None:
    encoder = TinyEncoder(dropout=0.5).train()
    before = torch.get_rng_state()
    bf16_speed(encoder)
    assert encoder.training
    assert torch.equal(torch.get_rng_state(), before)


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

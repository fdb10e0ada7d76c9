"""Runs that read texts, or are held to their start: in two processes, interrupted, and with mistakes in their texts."""

import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from recording_console import RecordingConsole
from tiny_clip import make_tiny_clip

from simtrain.commands.fit import fit
from simtrain.config import RunConfig
from simtrain.console import SILENT, Console
from simtrain.errors import SimtrainError
from simtrain.training.epoch_table import read_metrics
from simtrain.training.saved_weights import read_module_state

MakeConfig = Callable[..., RunConfig]
IMAGE_TEXT = {
    "kind": "image_text",
    "templates": ["{caption}", "a photo of a {color} {label}"],
    "positives": ["text", "product"],
    "learn_scale": True,
}
MIXED = {"kind": "simclr", "texts": {"weight": 0.5}, "keep": {"distillation": 0.5, "weight_distance": 100.0}}


def run(config: RunConfig, *, resume: bool = False, console: Console = SILENT) -> Any:
    return fit(config, resume=resume, console=console)


def weights(folder: Path, name: str = "last.ckpt") -> torch.Tensor:
    state = read_module_state(folder / name)
    return torch.cat([state[key].flatten().double() for key in sorted(state)])


@pytest.fixture
def make_words(make_config: MakeConfig, tmp_path: Path) -> MakeConfig:
    """Both towers of a tiny CLIP learn."""
    model = make_tiny_clip(tmp_path / "model")

    def make(**sections: Any) -> RunConfig:
        usual = {"encoder": {"kind": "clip", "model": str(model), "train_text": True}, "objective": IMAGE_TEXT}
        return make_config(**{**usual, "optimizer": {"learning_rate": 1e-3}, **sections})

    return make


@pytest.mark.slow
@pytest.mark.usefixtures("preloaded_processes")
@pytest.mark.parametrize("objective", [IMAGE_TEXT, MIXED])
def test_two_processes_train_what_one_trains(make_words: MakeConfig, objective: dict[str, Any]) -> None:
    trainer = {"epochs": 2, "accelerator": "cpu"}
    one = run(make_words(run="one", objective=objective, trainer=trainer)).folder
    two = run(make_words(run="two", objective=objective, trainer={**trainer, "devices": 2, "rank_timeout": 60})).folder
    first, second = (read_metrics(folder / "metrics.csv") for folder in (one, two))
    assert first[0] == second[0]  # zero-shot, texts included: to the last bit
    assert "val_text_to_image_recall_at_5" in first[0]
    assert (weights(two) - weights(one)).norm() < 1e-3 * weights(one).norm()
    for mine, theirs in zip(first[1:], second[1:], strict=True):
        assert float(mine["train_loss"]) == pytest.approx(float(theirs["train_loss"]), rel=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes", [{}, {"objective": MIXED}, {"encoder": {"train_text": False}, "objective": {"kind": "image_text"}}]
)
def test_interrupted_and_resumed_without_its_model_is_uninterrupted_bit_for_bit(
    make_words: MakeConfig, changes: dict[str, Any], tmp_path: Path
) -> None:
    model = str(tmp_path / "model")
    encoder = {"kind": "clip", "model": model, "train_text": True, **changes.get("encoder", {})}
    sections = {**changes, "encoder": encoder, "trainer": {"epochs": 2, "accelerator": "cpu", "ema_decay": 0.9}}
    whole = run(make_words(run="whole", **sections)).folder

    def stop(line: str) -> None:
        if line.startswith("epoch 1/"):
            signal.raise_signal(signal.SIGTERM)

    config = make_words(run="parts", **sections)
    assert run(config, console=RecordingConsole(on_line=stop)).ended_by == signal.SIGTERM
    shutil.rmtree(model)  # what it began with is in the run's folder
    assert run(config, resume=True).ended_by is None
    for name in ("last.ckpt", "best.ckpt"):
        assert torch.equal(weights(whole, name), weights(whole.with_name("parts"), name))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            {"objective": {**IMAGE_TEXT, "templates": ["{captoin}"]}},
            "no column 'captoin', which the template '{captoin}' needs; did you mean 'caption'?",
        ),
        ({"objective": {**IMAGE_TEXT, "positives": ["prodct"]}}, "objective.positives: "),
        ({"evaluation": {"captions": "{captoin}"}}, "evaluation.captions: "),
        (
            {
                "evaluation": {
                    "captions": None,
                    "label_templates": [],
                    "monitor": "text_to_image_recall_at_1",
                }
            },
            "evaluation.monitor: text_to_image_recall_at_1, but no validation image has a text",
        ),
    ],
)
def test_mistakes_in_texts_are_told_before_anything_is_made(
    make_words: MakeConfig, changes: dict[str, Any], expected: str
) -> None:
    config = make_words(**changes)
    with pytest.raises(SimtrainError) as caught:
        run(config)
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (Path(config.checkpoints) / "small").exists()


def test_texts_that_are_cut_are_told(make_words: MakeConfig) -> None:
    lines: list[str] = []
    templates = ["{caption} " + "and a red mug " * 30]
    run(
        make_words(objective={**IMAGE_TEXT, "templates": templates}, trainer={"max_steps": 1, "accelerator": "cpu"}),
        console=RecordingConsole(on_line=lines.append),
    )
    (told,) = [line for line in lines if "tokens" in line]
    assert "different texts are longer than the 77 tokens that the encoder reads and are truncated" in told

"""`simtrain interpolate`, and what other commands say of its choice."""

import json
from pathlib import Path

import pytest
from small_commands import Command
from small_runs import choose, sweep

from simtrain.runs.run import Run


def test_command_shows_every_mix_and_writes_its_figures(clip_run: Run, simtrain: Command, tmp_path: Path):
    status, shown, _ = simtrain("interpolate", str(clip_run.folder), "--steps", "3", "--json", str(tmp_path / "i.json"))
    assert status == 0
    figures = json.loads((tmp_path / "i.json").read_text())
    lines = [line.split() for line in shown.splitlines()]
    for mix in figures["mixes"]:
        image, text = mix["image"]["map_at_r"]["mean"], mix["text"]["text_to_image_recall_at_5"]["mean"]
        row = next(line for line in lines if line and line[0] == f"{mix['alpha']:g}")
        assert (row[1], row[3]) == (f"{100 * image:.1f}", f"{100 * text:.1f}")
        assert ("chosen" in row) == (mix["alpha"] == figures["alpha"])
    assert f"picture: {clip_run.folder}/interpolation.png" in shown
    assert shown.splitlines()[-1] == f"next: simtrain evaluate {clip_run.folder}"


@pytest.mark.slow
def test_commands_say_which_alpha_they_take(clip_run: Run, simtrain: Command, tmp_path: Path):
    sweep(clip_run, steps=3)
    choose(clip_run, 0.5)
    run = str(clip_run.folder)
    own = (
        "weights: alpha 0.5 (0 = initial, 1 = fine-tuned); chosen by simtrain interpolate, --alpha 1 uses fine-tuned "
        "weights alone"
    )
    asked = "weights: alpha 0.25 (0 = initial, 1 = fine-tuned)"
    for verb in (("evaluate", run, "--split", "val"), ("export", run, "--out", str(tmp_path / "bundle"))):
        for more, expected in (((), own), (("--alpha", "0.25"), asked), (("--alpha", "1"), None)):
            status, shown, error = simtrain(*verb, *more)
            steps = {"evaluate": "", "export": f"writing and checking {tmp_path / 'bundle'}: encoder, index\n"}
            assert (status, error) == (0, steps[verb[0]])
            told = [line for line in shown.splitlines() if line.startswith("weights:")]
            assert told == ([] if expected is None else [expected])


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (
            ["evaluate", "shop.yaml", "--alpha", "0.5"],
            "--alpha 0.5: shop.yaml is not a run; only runs have fine-tuned",
        ),
        (["evaluate", "RUN", "--alpha", "nan"], "Invalid value for '--alpha': "),
        (["export", "RUN", "--out", "b", "--alpha", "1.5"], "Invalid value for '--alpha': "),
        (["interpolate", "RUN", "--json", "."], ".: is a folder; expected the name of a file"),
        (["interpolate", "nowhere"], "nowhere: no such run in checkpoints"),
        (["interpolate", "RUN", "--steps", "1"], "Invalid value for '--steps': "),
    ],
)
def test_misuse_is_one_line(clip_run: Run, simtrain: Command, arguments: list[str], expected: str):
    status, shown, error = simtrain(*(str(clip_run.folder) if word == "RUN" else word for word in arguments))
    assert (status, shown, len(error.splitlines())) == (2, "", 1)
    assert error.startswith(f"error: {expected}")

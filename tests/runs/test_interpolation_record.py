"""The record of a sweep in the run's folder, and what is refused of it."""

import pytest
import torch
from small_runs import choose, sweep

from simtrain.errors import CheckpointError
from simtrain.runs.interpolation_record import chosen_alpha, mix_is_outdated
from simtrain.runs.run import Run
from simtrain.runs.tuned_encoder import tuned_encoder


def test_what_is_chosen_is_what_others_take(clip_run: Run):
    assert chosen_alpha(clip_run.folder) == 1
    sweep(clip_run)
    choose(clip_run, 0.5)
    by_itself = tuned_encoder(clip_run.config, clip_run.folder, alpha=None).state_dict()
    asked = tuned_encoder(clip_run.config, clip_run.folder, alpha=0.5).state_dict()
    assert all(torch.equal(by_itself[name], asked[name]) for name in asked)


def test_a_mix_without_statistics_is_told(norms_run: Run):
    with pytest.raises(CheckpointError) as caught:
        tuned_encoder(norms_run.config, norms_run.folder, alpha=0.5)
    assert str(caught.value) == (
        f"{norms_run.folder}: this run trained BatchNorm, so a mix needs its own statistics; run simtrain "
        f"interpolate {norms_run.folder}, which estimates them, or take --alpha 0 or 1"
    )


def test_a_mix_that_was_not_tried_is_told(norms_run: Run):
    sweep(norms_run, steps=4)
    with pytest.raises(CheckpointError) as caught:
        tuned_encoder(norms_run.config, norms_run.folder, alpha=0.5)
    assert str(caught.value) == (
        f"{norms_run.folder}: this run trained BatchNorm, and alpha 0.5 was not tried; take one of 0, 0.333333, "
        f"0.666667, 1, or run simtrain interpolate {norms_run.folder} with other --steps"
    )


def test_a_checkpoint_that_changed_is_told(clip_run: Run):
    assert str(clip_run).endswith(f"next: simtrain evaluate {clip_run.folder}")
    sweep(clip_run, steps=2)
    assert not mix_is_outdated(clip_run.folder)
    state = torch.load(clip_run.folder / "best.ckpt", weights_only=True)
    torch.save({**state, "epoch": 99}, clip_run.folder / "best.ckpt")
    assert str(clip_run).endswith(f"next: simtrain interpolate {clip_run.folder}")
    with pytest.raises(CheckpointError) as caught:
        tuned_encoder(clip_run.config, clip_run.folder, alpha=None)
    assert str(caught.value) == (
        f"{clip_run.folder}/interpolation.json: belongs to another best.ckpt than the present one; run simtrain "
        f"interpolate "
        f"{clip_run.folder} again, or use the fine-tuned weights alone with --alpha 1"
    )
    tuned_encoder(clip_run.config, clip_run.folder, alpha=1.0)


@pytest.mark.parametrize("content", ["", "[]", '{"alpha": 0.5}', '{"alpha": "much", "checkpoint": {"sha256": ""}}'])
def test_a_file_of_somebody_else_is_told(clip_run: Run, content: str):
    (clip_run.folder / "interpolation.json").write_text(content)
    with pytest.raises(CheckpointError) as caught:
        chosen_alpha(clip_run.folder)
    assert str(caught.value) == (
        f"{clip_run.folder}/interpolation.json: not a file of simtrain interpolate; run simtrain interpolate "
        f"{clip_run.folder} again, or use the fine-tuned weights alone with --alpha 1"
    )

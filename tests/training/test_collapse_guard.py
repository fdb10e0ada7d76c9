"""Runs that collapse end with the reason; runs that learn, stand still on purpose or have learned all do not."""

# Shapes: N embeddings, D features.

import logging
from functools import partial
from pathlib import Path

import pytest
import pytorch_lightning as pl
import torch
from recording_console import RecordingConsole
from torch.nn import functional as F
from typing_extensions import override
from watched_points import MARGIN, Loss, PointModule, Points, batch_hard, fit_points, no_tuples, pairs_of_views

from simtrain.builders.objective import SETTING_NAMES
from simtrain.training.collapse_guard import CollapsedError, CollapseGuard, Spread, collapse_sign
from simtrain.training.step_record import StepRecord

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*LeafSpec"),
    pytest.mark.filterwarnings("ignore:.*does not have many workers"),
]


@pytest.fixture(autouse=True)
def silent_lightning() -> None:
    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)


def spread(*, similarity: float, rank: float = 20.0, groups: int = 16) -> Spread:
    return Spread(mean_similarity=similarity, effective_rank=rank, groups=groups)


def guard(*, said: list[str] | None = None, margin: float | None = MARGIN, every_steps: int = 10) -> CollapseGuard:
    return CollapseGuard(
        every_steps=every_steps,
        margin=margin,
        names=SETTING_NAMES,
        console=RecordingConsole(on_line=(said if said is not None else []).append),
    )


def train(
    folder: Path,
    loss: Loss,
    watcher: pl.Callback,
    *,
    groups: int,
    per_group: int = 4,
    blur: float,
    steps: int = 300,
    learning_rate: float = 0.1,
    temperature: float | None = None,
) -> pl.Trainer:
    """Epochs of 50 steps."""
    points = Points(groups=groups, per_group=per_group, blur=blur, batches=50)
    module = PointModule(loss, learning_rate=learning_rate, temperature=temperature)
    return fit_points(module, points, folder, callbacks=[watcher], epochs=steps // 50)


def test_spread_of_a_step_against_loops() -> None:
    vectors = F.normalize(torch.randn(6, 4, generator=torch.Generator().manual_seed(0)), dim=1)
    record = StepRecord(
        embeddings=vectors,
        groups=torch.tensor([3, 3, 1, 1, 8, 8]),
        rows=torch.arange(6),
        loss=torch.tensor(0.0),
        parts={},
        temperature=None,
        active_share=None,
        mined=None,
    )
    found = Spread.of(record)
    expected = [float(vectors[i] @ vectors[j]) for i in range(6) for j in range(6) if i != j]
    assert found.mean_similarity == pytest.approx(sum(expected) / 30, abs=1e-6)
    shares = torch.linalg.svdvals(vectors.double())
    shares = shares / shares.sum()
    assert found.effective_rank == pytest.approx(float((-(shares * shares.log()).sum()).exp()), rel=1e-6)
    assert found.groups == 3


def test_one_point_where_there_was_a_cloud() -> None:
    sign = collapse_sign(spread(similarity=0.9991), spread(similarity=0.42), at_margin=False)
    assert sign is not None
    assert sign.reason == "the embeddings have become alike (mean similarity 0.9991, 0.4200 in the first step)"


@pytest.mark.parametrize(
    ("now", "first"),
    [
        (spread(similarity=0.9991), spread(similarity=0.998)),  # an encoder that has always seen them like that
        (spread(similarity=0.98), spread(similarity=0.1)),
        (spread(similarity=0.995), spread(similarity=0.58)),  # batch-hard triplets on their way out again
        (spread(similarity=0.0, rank=1.0, groups=2), spread(similarity=0.4)),  # two classes, perfectly apart
        (spread(similarity=-0.3, rank=1.9, groups=3), spread(similarity=0.4)),
        (spread(similarity=0.9, rank=1.3), spread(similarity=0.9, rank=1.4)),
    ],
)
def test_what_is_no_sign_of_collapse(now: Spread, first: Spread) -> None:
    assert collapse_sign(now, first, at_margin=False) is None


def test_many_kinds_of_images_on_one_line() -> None:
    sign = collapse_sign(spread(similarity=0.3, rank=1.42), spread(similarity=0.3, rank=38.04), at_margin=False)
    assert sign is not None
    assert sign.reason == "the embeddings lie on a line (effective rank 1.42, 38.0 in the first step)"


def test_the_margin_is_a_sign_only_where_the_embeddings_have_drawn_together() -> None:
    assert collapse_sign(spread(similarity=0.5), spread(similarity=0.6), at_margin=True) is None
    sign = collapse_sign(spread(similarity=0.985), spread(similarity=0.6), at_margin=True)
    assert sign is not None
    assert (sign.reason, sign.weight) == (
        "the embeddings have become alike (mean similarity 0.9850, 0.6000 in the first step), "
        "and the loss stands at the margin",
        1,
    )


@pytest.mark.slow
def test_batch_hard_on_groups_that_cannot_be_told_apart_is_ended(tmp_path: Path) -> None:
    with pytest.raises(CollapsedError) as raised:
        train(tmp_path, batch_hard, guard(), groups=8, blur=0.95)
    first, second = str(raised.value).splitlines()
    assert first.startswith("training collapsed in step 100 of epoch 2: the embeddings have become alike (mean sim")
    assert second == (
        "set a smaller optimizer.learning_rate, or a milder miner (objective.miner: semi_hard); "
        "trainer.stop_on_collapse: false switches this check off"
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("loss", "groups", "per_group", "blur", "learning_rate"),
    [
        (pairs_of_views, 32, 2, 0.3, 0.1),
        (pairs_of_views, 2, 2, 0.3, 0.1),
        (partial(pairs_of_views, temperature=10.0), 32, 2, 0.3, 1.0),
        (batch_hard, 8, 4, 0.5, 0.0),  # frozen
        (batch_hard, 8, 4, 0.4, 0.1),
        (batch_hard, 2, 8, 0.5, 0.1),
    ],
)
def test_no_alarm(tmp_path: Path, loss: Loss, groups: int, per_group: int, blur: float, learning_rate: float) -> None:
    said: list[str] = []
    watcher = guard(said=said)
    trainer = train(tmp_path, loss, watcher, groups=groups, per_group=per_group, blur=blur, learning_rate=learning_rate)
    assert trainer.global_step == 300
    assert not [line for line in said if "collapse" in line]


@pytest.mark.slow
def test_three_classes_that_lie_together_for_long_and_part_later_are_let_be(tmp_path: Path) -> None:
    points = Points(groups=3, per_group=8, blur=0.5, batches=100)
    module = PointModule(batch_hard, learning_rate=0.1)
    fit_points(module, points, tmp_path, callbacks=[guard()], epochs=6)
    assert module.last_step is not None
    assert float(module.last_step.active_share or 0) < 0.5


@pytest.mark.slow
def test_a_run_that_has_learned_everything_is_warned_and_ends_well(tmp_path: Path) -> None:
    said: list[str] = []
    trainer = train(tmp_path, batch_hard, guard(said=said), groups=8, blur=0.2)
    nothing = "the loss of every triplet is 0: nothing is left to learn with this objective.margin and objective.miner"
    assert said == [
        f"warning: for 5 checks up to step 100, {nothing}; a larger margin or a harder miner finds more to learn",
        f"training ends in step 150 of epoch 3: since step 60 {nothing}; "
        "trainer.stop_on_collapse: false switches this check off",
    ]
    assert trainer.global_step == 150


def test_a_miner_that_finds_nothing_among_mixed_embeddings_ends_the_run(tmp_path: Path) -> None:
    said: list[str] = []
    with pytest.raises(CollapsedError) as raised:
        train(tmp_path, no_tuples, guard(said=said), groups=8, blur=0.95)
    finds = "the miner finds no triplet, although negatives are nearer than positives: set objective.miner: batch_hard"
    assert said == [f"warning: for 5 checks up to step 100, {finds}"]
    assert str(raised.value) == (
        f"training stands still in step 150 of epoch 3: {finds}; trainer.stop_on_collapse: false switches this "
        f"check off"
    )


def test_a_resumed_guard_knows_what_it_knew(tmp_path: Path) -> None:
    class Half(pl.Callback):
        @override
        def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
            trainer.save_checkpoint(tmp_path / "half.ckpt")

    points = Points(groups=8, per_group=4, blur=0.95, batches=70)
    module = PointModule(batch_hard, learning_rate=0.1)
    fit_points(module, points, tmp_path, callbacks=[guard(), Half()])
    with pytest.raises(CollapsedError, match=r"^training collapsed in step 100 of epoch 2: .* 0\.3842 in the first"):
        fit_points(
            PointModule(batch_hard, learning_rate=0.1),
            points,
            tmp_path,
            callbacks=[guard()],
            epochs=3,
            resume_from=tmp_path / "half.ckpt",
        )

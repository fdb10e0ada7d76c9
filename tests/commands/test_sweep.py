"""A search for settings with real trials."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from recording_console import RecordingConsole

from simtrain.commands import sweep as commands
from simtrain.commands.sweep import sweep
from simtrain.config import RunConfig, load_run_config
from simtrain.config.sweep import search_space
from simtrain.errors import CheckpointError, ConfigError
from simtrain.runs.overview import overviews
from simtrain.runs.sweep_result import SweepResult

Make = Callable[..., RunConfig]
OVER = ["optimizer.learning_rate=1e-4..1e-1:log", "augmentation.preset=affine,color_sensitive"]


def run(config: RunConfig, *, trials: int, over: list[str] = OVER, console: Any = None) -> SweepResult:
    space = search_space(config, over=over, file=None)
    return sweep(config, space=space, trials=trials, console=console or RecordingConsole())


@pytest.mark.slow
def test_a_sweep_with_its_trials_runs_and_settings(make_config: Make, tmp_path: Path) -> None:
    config, console = make_config(run="shop"), RecordingConsole()
    result = run(config, trials=3, console=console)
    folder = tmp_path / "checkpoints" / "shop_sweep"
    assert result.folder == Path(config.checkpoints) / "shop_sweep"
    assert [one.index for one in result.trials] == [0, 1, 2]
    assert result.readings == 3 * 4  # the untouched encoder and three epochs each
    assert result.best is not None
    runs = overviews(result.folder)
    assert [one.name for one in runs] == ["trial_000", "trial_001", "trial_002"]
    assert {one.test_readings for one in runs} == {0}
    assert [one.val.mean for one in runs if one.val is not None] == pytest.approx(
        [one.value for one in result.trials], abs=1e-5
    )
    kept = [one.name for one in runs if (result.folder / one.name / "best.ckpt").exists()]
    assert kept == [f"trial_{result.best.index:03d}"]
    best = load_run_config(result.folder / "best.yaml", [])
    assert best.run == "shop_best"
    assert best.checkpoints == config.checkpoints
    assert best.seed == config.seed
    rate = result.best.overrides[0].partition("=")[2]
    assert best.optimizer.learning_rate == float(rate)
    assert folder.name == "shop_sweep"
    assert [line for line in console.lines if line.startswith("trial 1 of 3: optimizer.learning_rate=")]

    again = run(config, trials=3)
    assert again.trials == result.trials


@pytest.mark.slow
def test_a_sweep_that_was_killed_in_a_trial_goes_on_with_it(
    make_config: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = run(make_config(run="whole"), trials=3)
    config = make_config(run="parts")
    own = commands.fit

    class KilledError(Exception):
        """Ends the process as a kill would, as far as the study knows."""

    def killed(config: RunConfig, *, resume: bool, console: Any, watch: Any) -> Any:
        if config.run != "trial_001" or resume:
            return own(config, resume=resume, console=console, watch=watch)

        def after_one_epoch(epoch: int, value: float) -> bool:
            watch(epoch, value)
            raise KilledError

        return own(config, resume=False, console=console, watch=after_one_epoch)

    monkeypatch.setattr(commands, "fit", killed)
    with pytest.raises(KilledError):
        run(config, trials=3)
    monkeypatch.undo()
    parts = run(config, trials=3)
    assert [(one.index, one.overrides, one.value) for one in parts.trials] == [
        (one.index, one.overrides, one.value) for one in whole.trials
    ]


@pytest.mark.slow
def test_another_configuration_is_no_continuation(make_config: Make) -> None:
    config = make_config(run="shop")
    run(config, trials=1)
    with pytest.raises(CheckpointError) as caught:
        run(config.model_copy(update={"seed": 7}), trials=2)
    assert str(caught.value).endswith(
        "shop_sweep: this sweep was begun with other settings (seed); go on with those, or name another sweep with "
        "--set run=NAME"
    )
    with pytest.raises(CheckpointError) as caught:
        run(config, trials=2, over=OVER[:1])
    assert "(the space)" in str(caught.value)


@pytest.mark.slow
def test_a_trial_that_cannot_be_trained_is_told_and_passed_over(make_config: Make) -> None:
    console = RecordingConsole()
    result = run(make_config(run="shop"), trials=4, over=["data.batch_size=16,4096"], console=console)
    failed = [one for one in result.trials if one.state == "failed"]
    assert failed
    assert all(one.reason is not None for one in failed)
    assert any(": failed: " in line for line in console.lines)
    assert result.best is not None


def test_a_run_without_a_name_has_no_sweep(make_config: Make) -> None:
    config = make_config().model_copy(update={"run": None})
    with pytest.raises(ConfigError) as caught:
        run(config, trials=1)
    assert str(caught.value) == "run: missing; name the sweep with --set run=NAME"

"""`simtrain.sweep`: a search for settings on val."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from simtrain.api.inputs import CatalogSource, RunConfigSource, checked_config, or_terminal
from simtrain.config.overrides import Overrides
from simtrain.console import Console
from simtrain.errors import ConfigError
from simtrain.own_code import code_allowed

if TYPE_CHECKING:
    from simtrain.runs.sweep_result import SweepResult


def sweep(
    config: RunConfigSource,
    *,
    catalog: CatalogSource | None = None,
    over: Sequence[str] = (),
    space: str | Path | None = None,
    trials: int = 20,
    overrides: Overrides = (),
    allow_code: bool = False,
    console: Console | None = None,
) -> SweepResult:
    """Search for settings by the validation figures of short runs, as `simtrain sweep` does (extra `sweep`).

    Everything is written to `checkpoints/RUN_sweep`; the same call goes on with what was interrupted. Test is never
    read.

    Args:
        config: A YAML file, its content as a mapping, or a checked configuration; `trainer.epochs` is that of a trial.
        catalog: The catalogue; None: the one that the configuration names.
        over: Settings to search over: `optimizer.learning_rate=1e-5..1e-3:log`, `augmentation.preset=affine,simclr`.
        space: A YAML file of such settings. Without both: learning rate, temperature or margin, augmentation.
        trials: Number of trials of the whole sweep, 1 or more.
        overrides: Settings that replace the configuration's.
        allow_code: Whether code that the configuration names (`kind: python`) may be imported.
        console: Shows lines and progress; None: the terminal.

    Returns:
        Every trial and the best one; `print` shows them and the next command.

    Raises:
        SimtrainError: for anything that the user can mend.
    """
    if trials < 1:
        raise ConfigError(f"trials: got {trials}; allowed: 1 or more")
    with code_allowed(allow_code):
        from simtrain.config.sweep import search_space

        checked = checked_config(config, catalog=catalog, overrides=overrides)
        file = None if space is None else Path(space).expanduser()
        dimensions = search_space(checked, over=over, file=file)
        from simtrain.commands.sweep import sweep

        return sweep(checked, space=dimensions, trials=trials, console=or_terminal(console))

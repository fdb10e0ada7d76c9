"""`simtrain.interpolate`: mixes of a run's initial and fine-tuned weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simtrain.api.inputs import RunSource, opened_run, or_terminal
from simtrain.console import Console
from simtrain.own_code import code_allowed

if TYPE_CHECKING:
    from simtrain.interpolation.result import Interpolation


def interpolate(
    run: RunSource,
    *,
    bound: float = 1.0,
    steps: int = 11,
    metric: str | None = None,
    text_metric: str | None = None,
    allow_code: bool = False,
    console: Console | None = None,
) -> Interpolation:
    """Mix a run's initial and fine-tuned weights; keep the best mix on val that does not lose its texts (WiSE-FT).

    Args:
        run: A finished run, by name, folder or as an object; with other settings: `simtrain.open_run(run,
            overrides=…)`.
        bound: Text retrieval that may be lost, in points, 0 to 100.
        steps: Mixes to try, alpha 0 and 1 among them; 2 or more.
        metric: Image metric that chooses; None: `evaluation.monitor`, or `map_at_r`.
        text_metric: Text metric that is guarded; None: `text_to_image_recall_at_5`.
        allow_code: Whether code that the run names (`kind: python`) may be imported.
        console: Shows progress; None: the terminal.

    Returns:
        Every mix and the chosen one, which is recorded in the run's folder; `print` shows the table.

    Raises:
        SimtrainError: for anything that the user can mend.
    """
    opened = opened_run(run)
    from simtrain.commands.interpolate import interpolate

    with code_allowed(allow_code):
        return interpolate(
            opened, bound=bound, steps=steps, metric=metric, text_metric=text_metric, console=or_terminal(console)
        )

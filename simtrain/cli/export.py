"""`simtrain export`: arguments and output."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from simtrain.cli.arguments import AlphaOption, SetOption, alpha_of, open_named_run
from simtrain.cli.console import TERMINAL

if TYPE_CHECKING:
    from simtrain.runs.threshold_calibration import Calibration


def export(
    run: Annotated[str, typer.Argument(metavar="RUN", help="A run of simtrain fit.")],
    out: Annotated[Path, typer.Option(help="Folder for the bundle.")],
    alpha: AlphaOption = None,
    overrides: SetOption = None,
) -> None:
    """Write encoder, preprocessing, index and items as one bundle, and check it."""
    opened = open_named_run(run, overrides or [])
    share = alpha_of(opened, alpha)
    from simtrain.commands.export import export as run_export

    result = run_export(opened, out=out, alpha=share, console=TERMINAL)
    TERMINAL.line(f"bundle: {result.folder} ({result.items} items)")
    TERMINAL.line(result.images)
    TERMINAL.line(f"checked: opened again, {result.checked} images embedded equal and each found itself first")
    if result.agreement < 0.99999:
        TERMINAL.line(
            f"a query with an item's own file has a similarity of {result.agreement:.4f} or more to it "
            "(the store keeps the image smaller)"
        )
    if not result.onnx:
        TERMINAL.line("encoder.onnx: left out; it needs pip install 'simtrain[export]' and export.onnx not false")
    _tell_thresholds(result.calibration)
    TERMINAL.line(f"next: simtrain search {result.folder} --image PATH")


def _tell_thresholds(calibration: "Calibration") -> None:
    """Which similarities are similar enough, on one line, and one for each precision that cannot be promised."""
    found = calibration.found
    if found is None:
        TERMINAL.line(f"similar enough: cannot be told: {calibration.reason}")
        return
    told = [
        f"{level.similarity:.3f} for {100 * level.wanted_precision:g} % precision "
        f"({level.positives + level.negatives} pairs)"
        for level in found.thresholds
        if level.similarity is not None
    ]
    TERMINAL.line(
        f"similar enough: {', '.join(told) or 'nothing'}; right = same {' + '.join(calibration.relevance)}, the "
        f"{found.neighbours} nearest of {found.queries} queries of {calibration.split} among all {found.gallery} images"
    )
    for level in found.thresholds:
        if level.reason is not None:
            TERMINAL.line(f"no similarity for {100 * level.wanted_precision:g} % precision: {level.reason}")

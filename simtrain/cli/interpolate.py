"""`simtrain interpolate`: arguments and output."""

from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import typer

from simtrain.cli.arguments import AllowCodeOption, SetOption, expanded, open_named_run, output_file, shown
from simtrain.cli.output import STANDARD_OUTPUT, WORK, show
from simtrain.errors import SimtrainError
from simtrain.files import write_json


def interpolate(
    run: Annotated[str, typer.Argument(metavar="RUN", help="A finished run of simtrain fit.")],
    bound: Annotated[
        float, typer.Option(min=0, max=100, metavar="POINTS", help="Largest loss of text retrieval, in points.")
    ] = 1.0,
    steps: Annotated[int, typer.Option(min=2, max=1001, help="Number of mixes to try, alpha 0 and 1 included.")] = 11,
    metric: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Metric to maximise; default: evaluation.monitor, or map_at_r."),
    ] = None,
    text_metric: Annotated[
        str | None, typer.Option(metavar="NAME", help="Text metric to protect; default: text_to_image_recall_at_5.")
    ] = None,
    json_file: Annotated[
        Path | None,
        typer.Option(
            "--json",
            callback=expanded,
            metavar="FILE",
            help="Second file for the metrics, besides the run's folder; - for standard output.",
        ),
    ] = None,
    overrides: SetOption = None,
    allow_code: AllowCodeOption = False,
) -> None:
    """Mix initial and fine-tuned weights; choose the best mix on val that keeps text retrieval."""
    opened = open_named_run(run, overrides or [])
    from simtrain.api.interpolate import interpolate

    second = None if json_file == STANDARD_OUTPUT else json_file
    with nullcontext() if second is None else output_file(second):
        found = interpolate(
            opened,
            bound=bound,
            steps=steps,
            metric=metric,
            text_metric=text_metric,
            allow_code=allow_code,
            console=WORK,
        )
        show(found)
        if second is not None:
            write_json(second, found.to_dict(), error=SimtrainError)
            WORK.line(f"written: {second}")
    WORK.line(f"picture: {found.picture}")
    WORK.line(f"evaluate, export and init_from now use alpha {found.alpha:g} of this run; --alpha overrides it")
    WORK.line(f"next: simtrain evaluate {shown(opened.folder)}")

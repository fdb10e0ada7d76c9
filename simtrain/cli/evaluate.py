"""`simtrain evaluate`: arguments and output."""

from pathlib import Path
from shlex import quote
from typing import Annotated

import typer

from simtrain.cli.arguments import (
    AllowCodeOption,
    AlphaOption,
    SetOption,
    SplitChoice,
    alpha_of,
    expanded,
    open_named_run,
    output_file,
)
from simtrain.cli.output import STANDARD_OUTPUT, WORK, show
from simtrain.errors import SimtrainError
from simtrain.files import write_json


def evaluate(
    target: Annotated[
        str,
        typer.Argument(
            metavar="RUN_OR_CONFIG", help="A run, or a YAML file whose encoder is evaluated without training."
        ),
    ],
    split: Annotated[SplitChoice, typer.Option(help="Split to evaluate.")] = SplitChoice.TEST,
    alpha: AlphaOption = None,
    json_file: Annotated[
        Path | None,
        typer.Option(
            "--json",
            callback=expanded,
            metavar="FILE",
            help="File for the metrics, - for standard output; default: evaluation.json.",
        ),
    ] = None,
    overrides: SetOption = None,
    allow_code: AllowCodeOption = False,
) -> None:
    """Evaluate a run or an encoder: retrieval metrics with confidence intervals."""
    from simtrain.api.evaluate import evaluate, refuse_alpha
    from simtrain.config import is_config_file, load_untrained_config
    from simtrain.runs.run import evaluation_file

    then = None
    if is_config_file(target):
        refuse_alpha(alpha, target)
        config = load_untrained_config(Path(target), overrides or [])
        to = _file(json_file) or Path(evaluation_file(split.value))
        with output_file(to):
            report = evaluate(config, split=split.value, allow_code=allow_code, console=WORK)
    else:
        run = open_named_run(target, overrides or [])
        to = _file(json_file) or run.folder / evaluation_file(split.value)
        mix = alpha_of(run, alpha)
        with output_file(to):
            report = evaluate(run, split=split.value, alpha=mix, allow_code=allow_code, console=WORK)
        then = f"simtrain compare {quote(run.config.catalog)} --run {quote(run.argument)}"
    show(report)
    write_json(to, report.to_dict(), error=SimtrainError)
    WORK.line(f"written: {to}")
    if then is not None:
        WORK.line(f"next: {then}")


def _file(named: Path | None) -> Path | None:
    return None if named == STANDARD_OUTPUT else named

"""`simtrain evaluate`: arguments and output."""

from pathlib import Path
from typing import Annotated

import typer

from simtrain.cli.arguments import AlphaOption, SetOption, SplitChoice, alpha_of, check_json_folder, open_named_run
from simtrain.cli.console import TERMINAL
from simtrain.errors import SimtrainError
from simtrain.files import write_json


def evaluate(
    target: Annotated[str, typer.Argument(metavar="RUN_OR_CONFIG", help="A run, or a YAML: its encoder untouched.")],
    split: Annotated[SplitChoice, typer.Option(help="The split that is judged.")] = SplitChoice.TEST,
    alpha: AlphaOption = None,
    json_file: Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Where the figures go.")] = None,
    overrides: SetOption = None,
) -> None:
    """Retrieval metrics with confidence intervals."""
    from simtrain.api.evaluate import evaluate
    from simtrain.api.inputs import is_config_file

    run = None if is_config_file(target) else open_named_run(target, overrides or [])
    to = json_file or (Path() if run is None else run.folder) / "evaluation.json"
    if run is None:
        from simtrain.api.evaluate import refuse_alpha
        from simtrain.config import load_run_config

        refuse_alpha(alpha, target)
        load_run_config(Path(target), overrides or [])  # what is wrong there is told before where the figures go
    check_json_folder(to)
    share = alpha if run is None else alpha_of(run, alpha)
    report = evaluate(
        target if run is None else run,
        split=split.value,
        alpha=share,
        overrides=(overrides or []) if run is None else (),
        console=TERMINAL,
    )
    TERMINAL.line(str(report))
    write_json(to, report.to_dict(), error=SimtrainError)
    TERMINAL.line(f"written: {to}")

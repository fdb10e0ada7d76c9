"""`simtrain evaluate`: arguments and output."""

from pathlib import Path
from typing import Annotated

import typer

from simtrain.cli.arguments import AlphaOption, SetOption, SplitChoice, alpha_of, check_json_folder, open_named_run
from simtrain.cli.console import TERMINAL
from simtrain.errors import SimtrainError


def evaluate(
    target: Annotated[str, typer.Argument(metavar="RUN_OR_CONFIG", help="A run, or a YAML: its encoder untouched.")],
    split: Annotated[SplitChoice, typer.Option(help="The split that is judged.")] = SplitChoice.TEST,
    alpha: AlphaOption = None,
    json_file: Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Where the figures go.")] = None,
    overrides: SetOption = None,
) -> None:
    """Retrieval metrics with confidence intervals."""
    from simtrain.config import load_run_config

    run = None if _is_config(target) else open_named_run(target, overrides or [])
    if run is None and alpha is not None:
        raise SimtrainError(f"--alpha {alpha:g}: {target} is a configuration; only a run has tuned weights to mix")
    settings = load_run_config(Path(target), overrides or []) if run is None else run.config
    to = json_file or (Path() if run is None else run.folder) / "evaluation.json"
    check_json_folder(to)
    from simtrain.commands.evaluate import evaluate as run_evaluate
    from simtrain.runs.run import write_json

    share = None if run is None else alpha_of(run, alpha)
    report = run_evaluate(settings, run=run, split=split.value, alpha=share, console=TERMINAL)
    TERMINAL.line(str(report))
    write_json(to, report.to_dict())
    TERMINAL.line(f"written: {to}")


def _is_config(target: str) -> bool:
    return Path(target).suffix.lower() in (".yaml", ".yml")

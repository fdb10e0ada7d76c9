"""The verbs that take a run which has been trained."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from simtrain.cli.arguments import SetOption, open_named_run, shown
from simtrain.cli.screen import print_evaluation, progress, say
from simtrain.errors import SimtrainError

if TYPE_CHECKING:
    from simtrain.commands.calibration import Calibration
    from simtrain.commands.runs import Run


class SplitChoice(StrEnum):
    """The splits of a catalogue."""

    TRAIN = "train"
    VAL = "val"
    TEST = "test"


AlphaOption = Annotated[
    float | None,
    typer.Option(
        min=0,
        max=1,
        help="Share of the tuned weights, the rest is of the start; default: what interpolate chose.",
    ),
]


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
    _check_json(to)
    from simtrain.commands.evaluate import evaluate as run_evaluate
    from simtrain.commands.runs import write_json

    share = None if run is None else _alpha(run, alpha)
    report = run_evaluate(settings, run=run, split=split.value, alpha=share, progress=progress())
    print_evaluation(report)
    write_json(to, report.to_dict())
    say(f"written: {to}")


def interpolate(
    run: Annotated[str, typer.Argument(metavar="RUN", help="A finished run of simtrain fit.")],
    bound: Annotated[
        float, typer.Option(min=0, max=100, metavar="POINTS", help="Text retrieval that may be lost, in points.")
    ] = 1.0,
    steps: Annotated[int, typer.Option(min=2, max=1001, help="Mixes to try, alpha 0 and 1 among them.")] = 11,
    metric: Annotated[
        str | None, typer.Option(metavar="NAME", help="Image figure; default: evaluation.monitor, or map_at_r.")
    ] = None,
    text_metric: Annotated[
        str | None, typer.Option(metavar="NAME", help="Text figure; default: text_to_image_recall_at_5.")
    ] = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Where the figures go besides the run's folder.")
    ] = None,
    overrides: SetOption = None,
) -> None:
    """Mix tuned and untouched weights; keep the best mix on val that does not lose its texts."""
    opened = open_named_run(run, overrides or [])
    if json_file is not None:
        _check_json(json_file)
    from simtrain.cli.mixes import print_interpolation
    from simtrain.commands.interpolate import interpolate as run_interpolate
    from simtrain.commands.runs import write_json

    found = run_interpolate(
        opened, bound=bound, steps=steps, metric=metric, text_metric=text_metric, progress=progress()
    )
    print_interpolation(found)
    if json_file is not None:
        write_json(json_file, found.to_dict())
        say(f"written: {json_file}")
    say(f"picture: {found.picture}")
    say(f"from now on evaluate, export and init_from take alpha {found.alpha:g} of this run unless --alpha is given")
    say(f"next: simtrain evaluate {shown(opened.folder)}")


def export(
    run: Annotated[str, typer.Argument(metavar="RUN", help="A run of simtrain fit.")],
    out: Annotated[Path, typer.Option(help="Folder for the bundle.")],
    alpha: AlphaOption = None,
    overrides: SetOption = None,
) -> None:
    """Write encoder, preprocessing, index and items as one bundle, and check it."""
    opened = open_named_run(run, overrides or [])
    share = _alpha(opened, alpha)
    from simtrain.commands.export import export as run_export

    result = run_export(opened, out=out, alpha=share, progress=progress())
    say(f"bundle: {result.folder} ({result.items} items)")
    say(result.images)
    say(f"checked: opened again, {result.checked} images embedded equal and each found itself first")
    if result.agreement < 0.99999:
        say(
            f"a query with an item's own file has a similarity of {result.agreement:.4f} or more to it "
            "(the store keeps the image smaller)"
        )
    if not result.onnx:
        say("encoder.onnx: left out; it needs pip install 'simtrain[export]' and export.onnx not false")
    _tell_thresholds(result.calibration)
    say(f"next: simtrain search {result.folder} --image PATH")


def _tell_thresholds(calibration: "Calibration") -> None:
    """Which similarities are similar enough, on one line, and one for each precision that cannot be promised."""
    found = calibration.found
    if found is None:
        say(f"similar enough: cannot be told: {calibration.reason}")
        return
    told = [
        f"{level.similarity:.3f} for {100 * level.wanted_precision:g} % precision "
        f"({level.positives + level.negatives} pairs)"
        for level in found.thresholds
        if level.similarity is not None
    ]
    say(
        f"similar enough: {', '.join(told) or 'nothing'}; right = same {' + '.join(calibration.relevance)}, the "
        f"{found.neighbours} nearest of {found.queries} queries of {calibration.split} among all {found.gallery} images"
    )
    for level in found.thresholds:
        if level.reason is not None:
            say(f"no similarity for {100 * level.wanted_precision:g} % precision: {level.reason}")


def _alpha(run: "Run", asked: float | None) -> float:
    """The share of the tuned weights that a command takes, which is told unless it is all."""
    from simtrain.commands.interpolation_record import chosen_alpha

    share = chosen_alpha(run.folder) if asked is None else asked
    if share != 1:
        whose = "" if asked is not None else ", which simtrain interpolate chose; --alpha 1 takes the tuned ones alone"
        say(f"weights: alpha {share:g} between the start's (0) and the tuned ones (1){whose}")
    return share


def _check_json(path: Path) -> None:
    if not path.parent.is_dir():
        raise SimtrainError(f"--json {path}: the folder {path.parent} does not exist")


def _is_config(target: str) -> bool:
    return Path(target).suffix.lower() in (".yaml", ".yml")

"""`simtrain interpolate`: best mix of a run's initial and fine-tuned weights under a bound on lost text retrieval."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import get_args

import numpy as np

from simtrain.builders.bootstrap import build_bootstrap
from simtrain.builders.saved_encoder import load_initial_encoder
from simtrain.builders.texts import build_text_validation
from simtrain.builders.validation import build_validation
from simtrain.catalog.store.reader import open_images
from simtrain.config import RunConfig
from simtrain.config.evaluation import Monitor
from simtrain.console import Console
from simtrain.errors import CatalogError, CheckpointError, SimtrainError, nearest
from simtrain.evaluation.text_task import TextTasks
from simtrain.files import sha256_of_file
from simtrain.interpolation.intervals import gain, intervals
from simtrain.interpolation.plot import tradeoff_picture
from simtrain.interpolation.result import InterpolatedFigures, Interpolation, best_within, tradeoff
from simtrain.interpolation.sweep import InterpolatedScores, InterpolationSweep, SweepData, open_sweep
from simtrain.runs.interpolation_record import write_interpolation
from simtrain.runs.record import read_record
from simtrain.runs.run import (
    RUN_FILE,
    Run,
    data_fingerprint,
    read_run_catalog,
    report_unfinished,
    write_run_record,
)
from simtrain.runs.tuned_encoder import of_one_checkpoint, tuned_encoder
from simtrain.runs.whitening import whiten_run
from simtrain.training.file_names import BEST
from simtrain.version import VERSION

_OF_TEXTS = ("text_to_image_", "image_to_text_")
_IMAGE_METRICS = tuple(str(name) for name in get_args(Monitor) if not name.startswith(_OF_TEXTS))
_TEXT_METRICS = tuple(str(name) for name in get_args(Monitor) if name.startswith(_OF_TEXTS))
_USUAL_IMAGE_METRIC, _USUAL_TEXT_METRIC = "map_at_r", "text_to_image_recall_at_5"


def interpolate(
    run: Run, *, bound: float, steps: int, metric: str | None, text_metric: str | None, console: Console
) -> Interpolation:
    """Try mixes of a run's initial and fine-tuned weights on the validation split, and record the best one's share.

    `evaluate`, `export` and `init_from` use it from then on.

    Args:
        run: A finished run.
        bound: Largest loss in the text metric against alpha 0 that the chosen mix may have, in points; >= 0.
        steps: Number of mixes, evenly from alpha 0 to 1; >= 2.
        metric: Metric to maximise; None: the run's monitor, or `map_at_r` where that is of texts that val lacks.
        text_metric: Text metric whose loss is limited; None: `text_to_image_recall_at_5`.
        console: Shows how far each mix is.

    Raises:
        SimtrainError: for anything that the user can fix; the run's folder is then unchanged.
    """
    _check_run(run)
    config, checkpoint = run.config, sha256_of_file(run.folder / BEST)
    catalog = read_run_catalog(run)
    report_unfinished(run, console)
    task = build_validation(config, catalog)
    if task is None:
        raise CatalogError(f"{catalog.folder}: neither products nor labels, so there is no metric to choose alpha by")
    texts = build_text_validation(config, catalog, task)
    aim = _aim(config, texts, metric=metric, text_metric=text_metric, bound=bound)
    start = load_initial_encoder(config.encoder, run.folder).state_dict()
    encoder = of_one_checkpoint(run.folder, lambda: tuned_encoder(config, run.folder, alpha=1.0))
    if sha256_of_file(run.folder / BEST) != checkpoint:
        raise CheckpointError(f"{run.folder / BEST}: was replaced meanwhile; run simtrain interpolate again")
    images = open_images(catalog, smallest=encoder.preprocessing.image_size)
    data = SweepData(config=config, catalog=catalog, task=task, texts=texts, images=images.reader)
    sweep = open_sweep(encoder, start, data=data, console=console)
    scores = {alpha: sweep.score(alpha) for alpha in (round(float(step), 6) for step in np.linspace(0, 1, steps))}
    report = _report(run, scores, sweep, aim=aim, images=images.description)
    write_interpolation(
        run.folder,
        {**report.to_dict(), "data": data_fingerprint(catalog), "simtrain": VERSION},
        checkpoint=checkpoint,
        picture=_picture(report),
        statistics=sweep.statistics,
    )
    _whiten(run, alpha=report.mixes[report.chosen].alpha, console=console)
    return report


def _whiten(run: Run, *, alpha: float, console: Console) -> None:
    """Learn the whitening of the chosen mix, if the run is whitened; the mixes are compared without."""
    own = run.config.model_copy(update={"catalog": run.own_catalog})
    whitening = whiten_run(own, run.folder, alpha=alpha, console=console)
    if whitening is not None:
        record = read_record(run.folder / RUN_FILE)
        write_run_record(run.folder, {**record, "whitening": whitening})


@dataclass(frozen=True, kw_only=True)
class _Aim:
    """Metric to maximise, text metric whose loss is limited, or why there is none."""

    metric: str
    text_metric: str | None
    no_texts: str | None
    bound: float


def _aim(
    config: RunConfig, texts: TextTasks | None, *, metric: str | None, text_metric: str | None, bound: float
) -> _Aim:
    if not bound >= 0:  # not a number, which no range refuses, among them
        raise SimtrainError(f"--bound {bound:g}: allowed: 0 or more points")
    known = _IMAGE_METRICS if texts is None else (*_IMAGE_METRICS, *_TEXT_METRICS)
    _check_name("--metric", metric, known=known)
    _check_name("--text-metric", text_metric, known=_TEXT_METRICS)
    own = config.evaluation.monitor if config.evaluation.monitor in known else _USUAL_IMAGE_METRIC
    if texts is not None:
        return _Aim(metric=metric or own, text_metric=text_metric or _USUAL_TEXT_METRIC, no_texts=None, bound=bound)
    reason = f"an encoder of kind {config.encoder.kind} does not embed texts"
    if config.reads_texts:
        reason = "no image of split 'val' has the columns of evaluation.captions or evaluation.label_templates"
    if text_metric is not None:
        raise SimtrainError(f"--text-metric {text_metric}: {reason}")
    return _Aim(metric=metric or own, text_metric=None, no_texts=reason, bound=bound)


def _check_run(run: Run) -> None:
    status = run.record.get("status")
    if not (run.folder / BEST).is_file():
        raise CheckpointError(f"{run.folder / BEST}: no such checkpoint")
    if status != "finished":
        raise CheckpointError(
            f"{run.folder}: this run is {status}, not finished; resume it first: simtrain fit --resume {run.folder}"
        )
    if not os.access(run.folder, os.W_OK):
        raise CheckpointError(f"{run.folder}: no write access, and the result is written there")


def _check_name(option: str, name: str | None, *, known: Sequence[str]) -> None:
    if name is not None and name not in known:
        raise SimtrainError(f"{option}: no metric '{name}' here{nearest(name, known)}; allowed: {', '.join(known)}")


def _report(
    run: Run, scores: Mapping[float, InterpolatedScores], sweep: InterpolationSweep, *, aim: _Aim, images: str
) -> Interpolation:
    bootstrap, found = build_bootstrap(run.config), list(scores.values())
    mixes = [
        InterpolatedFigures(
            alpha=alpha,
            image=intervals(of_mix.image, bootstrap=bootstrap),
            text={} if of_mix.text is None else intervals(of_mix.text, bootstrap=bootstrap),
        )
        for alpha, of_mix in scores.items()
    ]
    chosen = best_within(tradeoff(mixes, metric=aim.metric, text_metric=aim.text_metric), bound=aim.bound)
    first, best = found[0], found[chosen]
    loss, text_queries = None, 0
    if aim.text_metric is not None and first.text is not None and best.text is not None:
        loss = gain(first.text, over=best.text, metric=aim.text_metric, bootstrap=bootstrap)
        text_queries = len(first.text.values[aim.text_metric])
    return Interpolation(
        run_folder=run.folder,
        images=images,
        queries=len(first.image.values[_USUAL_IMAGE_METRIC]),
        metric=aim.metric,
        text_metric=aim.text_metric,
        text_kind=None if sweep.texts is None else "names of classes" if sweep.texts.captions is None else "captions",
        text_queries=text_queries,
        no_texts=aim.no_texts,
        bound=aim.bound,
        mixes=mixes,
        chosen=chosen,
        gain=gain(best.of(aim.metric), over=first.of(aim.metric), metric=aim.metric, bootstrap=bootstrap),
        loss=loss,
        confidence=bootstrap.confidence,
        norms=len(sweep.norms),
        sample=sweep.sample.size,
    )


def _picture(report: Interpolation) -> bytes:
    return tradeoff_picture(
        report.points(),
        chosen=report.chosen,
        bound=report.bound,
        metric=report.metric,
        text_metric=report.text_metric,
    )

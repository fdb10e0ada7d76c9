"""Encoders to compare: off-the-shelf, initial and fine-tuned."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from simtrain.builders.encoder import build_encoder, whitening_of
from simtrain.builders.saved_encoder import load_initial_encoder
from simtrain.builders.weights_file import inspect_weights_file
from simtrain.catalog.table import Catalog
from simtrain.comparison.encoder_titles import EncoderTitle, encoder_description, untouched_title
from simtrain.comparison.export_arguments import ExportArguments, named_arguments, run_arguments
from simtrain.comparison.repeated_training import (
    RepeatedTraining,
    check_seeds_and_folds,
    grouped_by_training,
    runs_by_seed,
)
from simtrain.comparison.result import EncoderKind
from simtrain.config import CompareConfig, EncoderConfig, NamedCode, is_config_file
from simtrain.config.encoder_names import START_PREFIX, encoder_name_path, named_encoder
from simtrain.console import SILENT
from simtrain.encoders.base import Encoder
from simtrain.errors import CheckpointError, error_path
from simtrain.runs.interpolation_record import chosen_alpha
from simtrain.runs.loaded_encoder import LoadedEncoder
from simtrain.runs.run import Run
from simtrain.runs.whitening import run_encoder

_TRAINING_SIZE = ("--set", "encoder.evaluation_image_size=null")


@dataclass(frozen=True, kw_only=True)
class EncoderFactory:
    """Builder of one encoder of a candidate: the weights of one seed and fold.

    Attributes:
        fold: Number of the fold whose test split it may be evaluated on; None: any.
        build: Builds the encoder.
        details: Returns the encoder's record for JSON; to be called after `build`.
    """

    fold: int | None
    build: Callable[[], Encoder]
    details: Callable[[], dict[str, Any]]


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """Encoder to compare: off-the-shelf, initial or fine-tuned.

    Attributes:
        name: Name, unique in the comparison.
        kind: Off-the-shelf, initial or fine-tuned encoder.
        description: Description of the encoder for people.
        title: Name of the encoder for sentences.
        export: How it is named to `simtrain export`; None: it is in memory alone.
        required: Whether the comparison fails if the encoder cannot be loaded.
        seeds: Factories of each seed that the training was repeated with: one for each fold, or one for all folds.
        whitened: Whether the encoder whitens its embeddings itself; then no whitened variants of it are added.
        text_start: Of a run that embeds texts, factories of its initial encoder, one for each fold; else empty.
    """

    name: str
    kind: EncoderKind
    description: str
    title: EncoderTitle
    export: ExportArguments | None
    required: bool
    seeds: tuple[tuple[EncoderFactory, ...], ...]
    whitened: bool
    text_start: tuple[EncoderFactory, ...] = ()

    def details(self) -> dict[str, Any]:
        """Its record for JSON."""
        records = [factory.details() for factories in self.seeds for factory in factories]
        return records[0] if len(records) == 1 else {"trainings": records}


def list_candidates(
    config: CompareConfig, runs: Sequence[Run], loaded: Sequence[LoadedEncoder] = (), *, catalog: Catalog
) -> list[Candidate]:
    """Off-the-shelf encoders, then initial encoders of the runs, then the runs; no weights are read yet.

    Args:
        config: Configuration of the comparison, with the names of off-the-shelf encoders.
        runs: Runs to compare; runs that differ in seed and fold alone become one candidate.
        loaded: Encoders in memory.
        catalog: The compared catalogue.

    Raises:
        ConfigError: for an unknown encoder name.
        CheckpointError: if the runs of one training are not of the same folds for each seed.
        CodeNotAllowedError: for code that a run or a configuration names, unless it may be imported.
    """
    encoders = {name: named_encoder(name) for name in config.encoders}
    _check_code(encoders, runs)
    named = [
        _off_the_shelf_candidate(
            name,
            encoder,
            seed=config.seed,
            export=named_arguments(name, encoder, config=config, runs=runs, catalog=catalog),
        )
        for name, encoder in encoders.items()
    ]
    named += [_in_memory_candidate(encoder) for encoder in loaded]
    trainings = grouped_by_training(runs)
    folds = sorted({run.config.fold for run in runs if run.config.fold is not None})
    for training in trainings:
        check_seeds_and_folds(training, folds=folds)
    initial_encoders = [_initial_candidate(training, catalog) for training in trainings] if config.starts else []
    if config.starts and config.training_size:
        of_two_sizes = [one for one in trainings if _has_two_sizes(one.runs[0].config.encoder)]
        initial_encoders += [_initial_candidate(one, catalog, training_size=True) for one in of_two_sizes]
    return [*named, *initial_encoders, *(_fine_tuned_candidate(training, catalog) for training in trainings)]


def folds_of(runs: Sequence[Run]) -> tuple[int, ...]:
    """Numbers of the folds that runs were trained on, ascending; empty: the catalogue's own splits.

    Raises:
        CheckpointError: if some runs are of folds and others are not.
    """
    folds = {run.config.fold for run in runs}
    if None in folds and len(folds) > 1:
        own_splits = next(run for run in runs if run.config.fold is None)
        of_fold = next(run for run in runs if run.config.fold is not None)
        raise CheckpointError(
            f"--run: {of_fold.folder.name} was trained on fold {of_fold.config.fold}, {own_splits.folder.name} on the "
            "catalogue's own splits; compare them in two separate commands"
        )
    return tuple(sorted(fold for fold in folds if fold is not None))


def _check_code(encoders: Mapping[str, EncoderConfig], runs: Sequence[Run]) -> None:
    """Refuse code that may not be imported before anything is evaluated."""
    for name, encoder in encoders.items():
        if isinstance(encoder, NamedCode):
            with encoder_name_path(name):
                encoder.check_allowed()
    for section in (run.config.encoder for run in runs):
        if isinstance(section, NamedCode):
            with error_path("encoder"):
                section.check_allowed()


def _off_the_shelf_candidate(name: str, encoder: EncoderConfig, *, seed: int, export: ExportArguments) -> Candidate:
    def build() -> Encoder:
        torch.manual_seed(seed)  # layers without pretrained weights are the same in each comparison
        with encoder_name_path(name):
            return build_encoder(encoder, load=True)

    def details() -> dict[str, Any]:
        weights = inspect_weights_file(encoder)
        return {"encoder": encoder.model_dump(mode="json"), "weights": None if weights is None else weights.to_dict()}

    description = encoder_description(encoder)
    if whitening_of(encoder) is not None:
        description += ", without its encoder.whitening (the whitened variants show that)"
    factory = EncoderFactory(fold=None, build=build, details=details)
    displayed = Path(name).name if is_config_file(name) else name
    return Candidate(
        name=displayed,
        kind="off_the_shelf",
        description=description,
        title=untouched_title(encoder),
        export=export,
        required=False,
        seeds=((factory,),),
        whitened=False,
    )


def _in_memory_candidate(loaded: LoadedEncoder) -> Candidate:
    factory = EncoderFactory(fold=None, build=lambda: loaded.network, details=lambda: {"encoder": loaded.section()})
    return Candidate(
        name=loaded.name,
        kind="off_the_shelf",
        description=str(loaded),
        title=EncoderTitle(name=loaded.name, sized=True),
        export=None,
        required=True,
        seeds=((factory,),),
        whitened=loaded.network.whitening is not None,
    )


def _factories_by_seed(
    training: RepeatedTraining, factory: Callable[[Run], EncoderFactory]
) -> tuple[tuple[EncoderFactory, ...], ...]:
    """Factories of each seed, ascending, and within it of each fold, ascending."""
    seeds = sorted(runs_by_seed(training).items())
    return tuple(tuple(factory(run) for run in sorted(runs, key=lambda run: run.config.fold or 0)) for _, runs in seeds)


def _fine_tuned_candidate(training: RepeatedTraining, catalog: Catalog) -> Candidate:
    first = training.runs[0]
    description = [f"{encoder_description(first.config.encoder)}, fine-tuned with {first.config.objective.kind}"]
    if len(training.runs) > 1:
        description.append(f"mean of the runs {', '.join(run.folder.name for run in training.runs)}")
    alphas = {chosen_alpha(run.folder) for run in training.runs} - {1.0}
    if alphas:
        description.append(
            f"interpolated with its initial weights, alpha {', '.join(f'{alpha:g}' for alpha in sorted(alphas))}"
        )
    return Candidate(
        name=first.folder.name,
        kind="run",
        description="; ".join(description),
        title=EncoderTitle(name=first.folder.name, sized=False),
        export=run_arguments(first, start=False, catalog=catalog),
        required=True,
        seeds=_factories_by_seed(training, _fine_tuned_factory),
        whitened=whitening_of(first.config.encoder) is not None,
        text_start=_factories_by_seed(training, _initial_factory)[0] if first.config.reads_texts else (),
    )


def _fine_tuned_factory(run: Run) -> EncoderFactory:
    def build() -> Encoder:
        return run_encoder(run, alpha=None, console=SILENT)

    details = {
        "run": run.folder.name,
        "fold": run.config.fold,
        "seed": run.config.seed,
        "alpha": chosen_alpha(run.folder),
        "encoder": run.config.encoder.model_dump(mode="json"),
        "objective": run.config.objective.model_dump(mode="json"),
    }
    return EncoderFactory(fold=run.config.fold, build=build, details=lambda: details)


def _has_two_sizes(encoder: EncoderConfig) -> bool:
    """Whether training views have another size than evaluated images."""
    evaluated = getattr(encoder, "evaluation_image_size", None)
    return evaluated is not None and evaluated != getattr(encoder, "image_size", None)


def _initial_candidate(training: RepeatedTraining, catalog: Catalog, *, training_size: bool = False) -> Candidate:
    """What a training began with, at the size of evaluated images or of training views."""
    first = training.runs[0]
    section, suffix = first.config.encoder, ""
    if training_size:
        section, suffix = _at_training_size(section), "_at_training_size"
    origin = f"initial weights of {first.folder.name}"
    if len(runs_by_seed(training)) > 1:
        origin += f", seed {min(runs_by_seed(training))} only"
    started_from_run = first.config.init_from is not None
    title = untouched_title(section)
    if started_from_run:
        title = EncoderTitle(name=f"the start of {first.folder.name}", sized=True)
        origin += f" (fine-tuned weights of {first.config.init_from})"
    return Candidate(
        name=f"{START_PREFIX}{first.folder.name}{suffix}",
        kind="run" if started_from_run else "off_the_shelf",
        required=False,
        description=f"{encoder_description(section)}; {origin}",
        title=title,
        export=run_arguments(first, start=True, catalog=catalog, options=_TRAINING_SIZE if training_size else ()),
        seeds=_factories_by_seed(training, partial(_initial_factory, training_size=training_size))[:1],
        whitened=False,
    )


def _at_training_size(encoder: EncoderConfig) -> EncoderConfig:
    return encoder.model_copy(update={"evaluation_image_size": None})


def _initial_factory(run: Run, *, training_size: bool = False) -> EncoderFactory:
    section = _at_training_size(run.config.encoder) if training_size else run.config.encoder

    def build() -> Encoder:
        return load_initial_encoder(section, run.folder)

    details = {"start_of": run.folder.name, "encoder": section.model_dump(mode="json")}
    return EncoderFactory(fold=run.config.fold, build=build, details=lambda: details)

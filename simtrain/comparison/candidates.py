"""Encoders to compare: off-the-shelf, initial and fine-tuned."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import torch

from simtrain.builders import build_encoder, inspect_weights_file, load_initial_encoder, whitening_of
from simtrain.builders.encoder_names import encoder_name_path, named_encoder
from simtrain.comparison.result import EncoderKind
from simtrain.config import CompareConfig, EncoderConfig, NamedCode, TwoTowersConfig, differences, is_config_file
from simtrain.console import SILENT
from simtrain.encoders.base import Encoder
from simtrain.encoders.weights import names_a_file
from simtrain.errors import CheckpointError, error_path
from simtrain.runs.interpolation_record import chosen_alpha
from simtrain.runs.loaded_encoder import LoadedEncoder
from simtrain.runs.run import Run
from simtrain.runs.whitening import run_encoder

_OF_ONE_TRAINING = (
    "run:",
    "checkpoints:",
    "catalog:",
    "seed:",
    "fold:",
    "tracking.",
    "data.workers:",
    "evaluation.batch_size:",
)
"""Keys in which the runs of one training may differ: repeated with other seeds, on other folds, on other machines."""


@dataclass(frozen=True, kw_only=True)
class Member:
    """One set of weights of a candidate: one seed and fold.

    Attributes:
        fold: Number of the fold whose test split it may be evaluated on; None: any.
        build: Builds the encoder.
        details: Returns its record for JSON, once the encoder has been built.
    """

    fold: int | None
    build: Callable[[], Encoder]
    details: Callable[[], dict[str, Any]]


@dataclass(frozen=True, kw_only=True)
class Contender:
    """An encoder of a comparison.

    Attributes:
        name: Unique name.
        kind: Off-the-shelf, initial or fine-tuned encoder.
        words: Description of the encoder for people.
        required: Whether the comparison fails if it cannot be loaded.
        seeds: For each seed that the training was repeated with, its members: one for each fold, or one for all.
        whitened: Whether its embeddings are whitened as it comes, so that there are no whitened variants of it.
    """

    name: str
    kind: EncoderKind
    words: str
    required: bool
    seeds: tuple[tuple[Member, ...], ...]
    whitened: bool

    def details(self) -> dict[str, Any]:
        """Its record for JSON."""
        members = [member.details() for members in self.seeds for member in members]
        return members[0] if len(members) == 1 else {"trainings": members}


@dataclass
class _Training:
    """Runs that differ in seed and fold alone."""

    runs: list[Run] = field(default_factory=list)


def contenders(config: CompareConfig, runs: Sequence[Run], loaded: Sequence[LoadedEncoder] = ()) -> list[Contender]:
    """Off-the-shelf encoders, then the initial encoders of runs, then the runs; no weights are read yet.

    Raises:
        ConfigError: for a name that is none.
        CheckpointError: for runs of one training that are not the same folds with each seed.
        CodeNotAllowedError: for code that a run or a configuration names, unless it may be imported.
    """
    encoders = {name: named_encoder(name) for name in config.encoders}
    _check_code(encoders, runs)
    named = [_off_the_shelf(name, encoder, seed=config.seed) for name, encoder in encoders.items()]
    named += [_in_memory(encoder) for encoder in loaded]
    trainings = _trainings(runs)
    folds = sorted({run.config.fold for run in runs if run.config.fold is not None})
    for training in trainings:
        _check_grid(training, folds=folds)
    starts = [_start(training) for training in trainings] if config.starts else []
    return [*named, *starts, *(_tuned(training) for training in trainings)]


def folds_of(runs: Sequence[Run]) -> tuple[int, ...]:
    """Numbers of the folds that runs were trained on, ascending; empty: the catalogue's own splits.

    Raises:
        CheckpointError: if some runs are of folds and others are not.
    """
    folds = {run.config.fold for run in runs}
    if None in folds and len(folds) > 1:
        whole = next(run for run in runs if run.config.fold is None)
        part = next(run for run in runs if run.config.fold is not None)
        raise CheckpointError(
            f"--run: {part.folder.name} is of fold {part.config.fold} and {whole.folder.name} of the catalogue's own "
            "splits; compare them one after the other"
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


def _off_the_shelf(name: str, encoder: EncoderConfig, *, seed: int) -> Contender:
    def build() -> Encoder:
        torch.manual_seed(seed)  # layers without pretrained weights are the same in each comparison
        with encoder_name_path(name):
            return build_encoder(encoder, load=True)

    def details() -> dict[str, Any]:
        found = inspect_weights_file(encoder)
        return {"encoder": encoder.model_dump(mode="json"), "weights": None if found is None else found.to_dict()}

    words = _words(encoder)
    if whitening_of(encoder) is not None:
        words += ", without its encoder.whitening, which its whitened variants are for"
    member = Member(fold=None, build=build, details=details)
    shown = Path(name).name if is_config_file(name) else name
    return Contender(name=shown, kind="off_the_shelf", words=words, required=False, seeds=((member,),), whitened=False)


def _in_memory(loaded: LoadedEncoder) -> Contender:
    member = Member(fold=None, build=lambda: loaded.network, details=lambda: {"encoder": loaded.section()})
    return Contender(
        name=loaded.name,
        kind="off_the_shelf",
        words=str(loaded),
        required=True,
        seeds=((member,),),
        whitened=loaded.network.whitening is not None,
    )


def _words(encoder: EncoderConfig) -> str:
    if isinstance(encoder, TwoTowersConfig):
        return f"{_words(encoder.image)}; joined with the texts of {PurePosixPath(encoder.text).name}"
    plain = encoder.model_dump(mode="json")
    weights = plain.get("weights")
    if weights is not None:
        plain["weights"] = PurePosixPath(weights).name if names_a_file(weights) else f"weights {weights}"
    shown = [str(plain[key]) for key in ("model", "target", "space", "weights") if plain.get(key)]
    pixels = plain.get("evaluation_image_size") or plain.get("image_size")
    size = f"{pixels} px" if pixels else ""
    pooling = plain["pooling"] if plain.get("pooling", "default") != "default" else ""
    mirrored = "flip averaging" if plain["flip_averaging"] else ""
    return ", ".join(part for part in (plain["kind"], *shown, size, pooling, mirrored) if part)


def _trainings(runs: Sequence[Run]) -> list[_Training]:
    found: list[_Training] = []
    for run in runs:
        for training in found:
            if _is_repeated(training.runs[0], run):
                training.runs.append(run)
                break
        else:
            found.append(_Training(runs=[run]))
    return found


def _is_repeated(one: Run, other: Run) -> bool:
    """Whether two runs are the same training, with another seed or on another fold."""
    changed = differences(one.config, other.config)
    told_apart = any(line.startswith(("seed:", "fold:")) for line in changed)
    free = (*_OF_ONE_TRAINING, "init_from:") if told_apart else _OF_ONE_TRAINING  # each fold has a chain of its own
    return all(line.startswith(free) for line in changed)


def _check_grid(training: _Training, *, folds: Sequence[int]) -> None:
    """Each seed of a training has one run, or one for each fold."""
    name = training.runs[0].folder.name
    for seed, runs in _by_seed(training).items():
        there = [run.config.fold for run in runs]
        missing = [fold for fold in folds if fold not in there]
        if missing:
            raise CheckpointError(
                f"--run: {name} with seed {seed} has no run of fold {missing[0]}; name one for each fold"
            )
        if len(set(there)) < len(there):
            raise CheckpointError(
                f"--run: {' and '.join(run.folder.name for run in runs)} are the same training with seed {seed}; name "
                "one of them, or train with another --set seed"
            )


def _by_seed(training: _Training) -> dict[int, list[Run]]:
    seeds: dict[int, list[Run]] = {}
    for run in training.runs:
        seeds.setdefault(run.config.seed, []).append(run)
    return seeds


def _members(training: _Training, member: Callable[[Run], Member]) -> tuple[tuple[Member, ...], ...]:
    """Of each seed, by fold."""
    seeds = sorted(_by_seed(training).items())
    return tuple(tuple(member(run) for run in sorted(runs, key=lambda run: run.config.fold or 0)) for _, runs in seeds)


def _tuned(training: _Training) -> Contender:
    first = training.runs[0]
    words = [f"{_words(first.config.encoder)}, tuned with {first.config.objective.kind}"]
    if len(training.runs) > 1:
        words.append(f"of {', '.join(run.folder.name for run in training.runs)}")
    shares = {chosen_alpha(run.folder) for run in training.runs} - {1.0}
    if shares:
        words.append(f"mixed with its start, alpha {', '.join(f'{share:g}' for share in sorted(shares))}")
    return Contender(
        name=first.folder.name,
        kind="run",
        words="; ".join(words),
        required=True,
        seeds=_members(training, _tuned_member),
        whitened=whitening_of(first.config.encoder) is not None,
    )


def _tuned_member(run: Run) -> Member:
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
    return Member(fold=run.config.fold, build=build, details=lambda: details)


def _start(training: _Training) -> Contender:
    first = training.runs[0]
    began = f"what {first.folder.name} began with"
    if len(_by_seed(training)) > 1:
        began += f", with seed {min(_by_seed(training))} alone"
    chained = first.config.init_from is not None
    if chained:
        began += f" (weights of {first.config.init_from}, so that a run has trained it)"
    return Contender(
        name=f"start_of_{first.folder.name}",
        kind="run" if chained else "off_the_shelf",
        required=False,
        words=f"{_words(first.config.encoder)}; {began}",
        seeds=_members(training, _start_member)[:1],
        whitened=False,
    )


def _start_member(run: Run) -> Member:
    def build() -> Encoder:
        return load_initial_encoder(run.config.encoder, run.folder)

    details = {"start_of": run.folder.name, "encoder": run.config.encoder.model_dump(mode="json")}
    return Member(fold=run.config.fold, build=build, details=lambda: details)

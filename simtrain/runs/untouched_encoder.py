"""Encoder that no run has trained, with the configuration by which it is exported."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from simtrain.catalog.table import read_catalog
from simtrain.config import UNUSED_OBJECTIVE, RunConfig, apply_overrides, is_config_file, parse_run_config, read_yaml
from simtrain.config.encoder_names import START_PREFIX, named_encoder, unwhitened_name
from simtrain.encoders.base import Encoder
from simtrain.errors import ConfigError
from simtrain.evaluation.relevance import filled_columns
from simtrain.runs.loaded_encoder import LoadedEncoder
from simtrain.runs.run import DEFAULT_CHECKPOINTS, Run, find_run, open_run
from simtrain.runs.source_name import check_source_name

_POWER = "encoder.whitening.power"


@dataclass(frozen=True, kw_only=True)
class UntouchedEncoder:
    """An encoder that no run has trained.

    Attributes:
        name: Name, as comparisons call it.
        config: Catalogue, encoder with its whitening, evaluation and export; nothing is trained by it.
        start_of: Run whose initial weights it has; None: `config.encoder` says where they are from.
        network: Encoder in memory that is exported as it is; None: it is built from the configuration.
    """

    name: str
    config: RunConfig
    start_of: Run | None = None
    network: Encoder | None = None


def named_source(name: str, *, overrides: Sequence[str]) -> Run | UntouchedEncoder:
    """The run or untouched encoder that a name stands for; weights are not read yet.

    Args:
        name: As `check_source_name` takes it.
        overrides: `key=value` texts that replace settings; `catalog=` among them, where the name has no catalogue.

    Raises:
        CheckpointError: for a name that stands for nothing, with the nearest that does.
        ConfigError: if a catalogue is needed and not named, or a setting is not allowed.
    """
    check_source_name(name)
    if find_run(name, checkpoints=DEFAULT_CHECKPOINTS) is not None:
        return open_run(name, checkpoints=DEFAULT_CHECKPOINTS, overrides=overrides)
    plain, power = unwhitened_name(name)
    whitened = [*overrides, *([] if power is None else [f"{_POWER}={power:g}"])]
    if power is not None and find_run(plain, checkpoints=DEFAULT_CHECKPOINTS) is not None:
        return open_run(plain, checkpoints=DEFAULT_CHECKPOINTS, overrides=whitened)
    if plain.startswith(START_PREFIX):
        return _start(name, plain.removeprefix(START_PREFIX), overrides=whitened)
    if is_config_file(plain):
        tree = read_yaml(Path(plain).expanduser())
        return _untouched(Path(name).name, tree, overrides=whitened, where=plain)
    section = named_encoder(plain).model_dump(mode="json")
    return _untouched(name, {"encoder": section}, overrides=whitened, where=name)


def loaded_source(loaded: LoadedEncoder, *, overrides: Sequence[str]) -> Run | UntouchedEncoder:
    """The run that an encoder in memory is of, or itself as an untouched one.

    Args:
        loaded: An encoder that has a configuration.
        overrides: `key=value` texts that replace settings; `catalog=` among them for an encoder of no run.

    Raises:
        ConfigError: for an encoder without a configuration.
    """
    if loaded.run is not None:
        return open_run(str(loaded.run.folder), checkpoints=loaded.run.folder.parent, overrides=overrides)
    if loaded.config is None:
        raise ConfigError(f"{loaded.name}: has no configuration by which a bundle could make it again")
    source = _untouched(loaded.name, {"encoder": loaded.section()}, overrides=overrides, where=loaded.name)
    return replace(source, network=loaded.network)


def _start(name: str, run_name: str, *, overrides: Sequence[str]) -> UntouchedEncoder:
    """The encoder that a run began with: without the whitening that the run asks for, unless the name does."""
    run = open_run(run_name, checkpoints=DEFAULT_CHECKPOINTS)
    tree = run.config.model_dump(mode="json")
    encoder = {key: value for key, value in tree["encoder"].items() if key != "whitening"}
    config = parse_run_config(apply_overrides({**tree, "encoder": encoder}, overrides), where=name)
    plain = f"{START_PREFIX}{run.name}{name.removeprefix(START_PREFIX + run_name)}"
    return UntouchedEncoder(name=plain, config=config, start_of=run)


def _untouched(name: str, tree: dict[str, Any], *, overrides: Sequence[str], where: str) -> UntouchedEncoder:
    """Of a section, or more of a configuration; relevant is what the catalogue tells where nothing else does."""
    filled = apply_overrides({"objective": UNUSED_OBJECTIVE, **tree}, overrides)
    if "catalog" not in filled:
        raise ConfigError(f"export: {name} has no catalogue of its own; name its folder: --catalog FOLDER")
    if "relevance" not in filled and filled_columns(read_catalog(Path(str(filled["catalog"]))).rows) == ["label"]:
        filled["relevance"] = "label"
    return UntouchedEncoder(name=name, config=parse_run_config(filled, where=where))

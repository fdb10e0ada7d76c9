"""Argument types of the public functions: catalogues, runs and configurations by name, path or object."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from simtrain.api.handed_over import HandedOver, as_before
from simtrain.config import RunConfig, apply_overrides, load_run_config, parse_run_config
from simtrain.config.overrides import Overrides, override_lines
from simtrain.console import TERMINAL, Console

if TYPE_CHECKING:
    from simtrain.catalog.table import Catalog
    from simtrain.runs.run import Run

NOTHING = HandedOver()
"""Everything as the configuration describes it."""

CatalogSource: TypeAlias = "str | Path | Catalog"
"""A folder of `prepare`, or the catalogue itself."""

RunSource: TypeAlias = "str | Path | Run"
"""A run's name below `checkpoints`, its folder, or the run itself."""

RunConfigSource: TypeAlias = "str | Path | Mapping[str, Any] | RunConfig"
"""A YAML file, its content as a mapping, or a checked configuration."""


def catalog_folder(catalog: CatalogSource) -> Path:
    """The folder of a catalogue."""
    return Path(catalog).expanduser() if isinstance(catalog, str | Path) else catalog.folder


def catalog_override(catalog: CatalogSource | None) -> list[str]:
    """The override that names a catalogue; none without one."""
    return [] if catalog is None else override_lines({"catalog": str(catalog_folder(catalog))})


def opened_run(run: RunSource, overrides: Overrides = ()) -> Run:
    """The run, with overrides of its configuration.

    Raises:
        CheckpointError: if it is not there, with the nearest name that is.
        ConfigError: for overrides that its configuration does not allow.
    """
    from simtrain.runs.run import DEFAULT_CHECKPOINTS, open_run

    lines = override_lines(overrides)
    if isinstance(run, str | Path):
        return open_run(str(run), checkpoints=DEFAULT_CHECKPOINTS, overrides=lines)
    if not lines:
        return run
    opened = open_run(str(run.folder), checkpoints=run.folder.parent, overrides=lines)
    return replace(opened, config=as_before(opened.config, run.config))


def checked_config(
    config: RunConfigSource, *, catalog: CatalogSource | None, overrides: Overrides, given: HandedOver = NOTHING
) -> RunConfig:
    """The configuration of a run, on this catalogue if one is given, with objects in the place of its sections.

    Raises:
        ConfigError: naming the key, what was found and what is allowed.
    """
    lines = [*catalog_override(catalog), *override_lines(overrides)]
    if isinstance(config, RunConfig) and not lines and given == NOTHING:
        return config
    if isinstance(config, str | Path):
        path = Path(config).expanduser()
        return given.held_by(load_run_config(path, lines, change=given.described_in))
    tree = config.model_dump(mode="json") if isinstance(config, RunConfig) else dict(config)
    checked = parse_run_config(apply_overrides(given.described_in(tree), lines), where="config")
    return given.held_by(as_before(checked, config) if isinstance(config, RunConfig) else checked)


def or_terminal(console: Console | None) -> Console:
    """The console, or the terminal where none is given."""
    return TERMINAL if console is None else console

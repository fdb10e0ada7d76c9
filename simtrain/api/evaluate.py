"""`simtrain.evaluate`: retrieval metrics of an encoder, with confidence intervals."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from simtrain.api.inputs import (
    CatalogSource,
    catalog_folder,
    catalog_override,
    checked_config,
    opened_run,
    or_terminal,
)
from simtrain.config import (
    UNUSED_OBJECTIVE,
    RunConfig,
    apply_overrides,
    is_config_file,
    load_untrained_config,
    parse_run_config,
)
from simtrain.config.overrides import Overrides, override_lines
from simtrain.console import Console
from simtrain.errors import ConfigError
from simtrain.own_code import code_allowed

if TYPE_CHECKING:
    from simtrain.runs.evaluation_report import EvaluationReport
    from simtrain.runs.loaded_encoder import EncoderSource, LoadedEncoder


def evaluate(
    encoder: EncoderSource | RunConfig,
    catalog: CatalogSource | None = None,
    *,
    split: str = "test",
    alpha: float | None = None,
    overrides: Overrides = (),
    allow_code: bool = False,
    console: Console | None = None,
) -> EvaluationReport:
    """Retrieval metrics with confidence intervals; `print` shows what `simtrain evaluate` prints.

    Args:
        encoder: A run, by name, folder or as an object; a YAML file or a checked configuration, whose encoder is
            evaluated without training; or whatever `simtrain.load_encoder` takes or gave.
        catalog: The catalogue; None: the one that the run or the YAML file names.
        split: `train`, `val` or `test`. A run counts how often its test figures are read.
        alpha: Share of a run's fine-tuned weights in a mix with its initial ones, 0 to 1; None: what `interpolate`
            chose, or 1.
        overrides: Settings that replace the configuration's, such as `{"relevance": "label"}`.
        allow_code: Whether code that a file names (`kind: python`) may be imported.
        console: Shows progress; None: the terminal.

    Raises:
        SimtrainError: for anything that the user can mend.
    """
    with code_allowed(allow_code):
        return _evaluated(encoder, catalog, split=split, alpha=alpha, overrides=overrides, console=console)


def _evaluated(
    encoder: EncoderSource | RunConfig,
    catalog: CatalogSource | None,
    *,
    split: str,
    alpha: float | None,
    overrides: Overrides,
    console: Console | None,
) -> EvaluationReport:
    if isinstance(encoder, RunConfig) or is_config_file(encoder):
        refuse_alpha(alpha, "a configuration" if isinstance(encoder, RunConfig) else encoder)
        config = _config(encoder, catalog, overrides)
        from simtrain.commands.evaluate import evaluate

        return evaluate(config, run=None, split=split, alpha=None, console=or_terminal(console))
    from simtrain.commands.evaluate import evaluate
    from simtrain.runs.loaded_encoder import load_encoder, run_of

    run = run_of(encoder)
    if run is not None:
        run = opened_run(run, [*catalog_override(catalog), *override_lines(overrides)])
        return evaluate(run.config, run=run, split=split, alpha=alpha, console=or_terminal(console))
    loaded = load_encoder(encoder)
    refuse_alpha(alpha, loaded.name)
    if catalog is None:
        raise ConfigError(f"evaluate: {loaded.name} has no catalogue of its own; give one: catalog='data/catalog'")
    config = _config_of(loaded, catalog, overrides)
    return evaluate(config, run=None, split=split, alpha=None, console=or_terminal(console), loaded=loaded)


def _config(source: EncoderSource | RunConfig, catalog: CatalogSource | None, overrides: Overrides) -> RunConfig:
    if isinstance(source, RunConfig):
        return checked_config(source, catalog=catalog, overrides=overrides)
    lines = [*catalog_override(catalog), *override_lines(overrides)]
    return load_untrained_config(Path(str(source)).expanduser(), lines)


def _config_of(loaded: LoadedEncoder, catalog: CatalogSource, overrides: Overrides) -> RunConfig:
    """Every setting at its default, but for the encoder and the catalogue."""
    section = {"kind": "pixels"}  # stands where a configuration needs one; the encoder in memory is evaluated
    if loaded.config is not None:
        section = loaded.section()
    tree = {"catalog": str(catalog_folder(catalog)), "encoder": section, "objective": UNUSED_OBJECTIVE}
    return parse_run_config(apply_overrides(tree, override_lines(overrides)), where=loaded.name)


def refuse_alpha(alpha: float | None, name: object) -> None:
    """Refuse a mix of weights for an encoder that is of no run.

    Raises:
        ConfigError: if there is an alpha.
    """
    if alpha is not None:
        raise ConfigError(f"--alpha {alpha:g}: {name} is not a run; only runs have fine-tuned weights to mix")

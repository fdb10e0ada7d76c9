"""`simtrain.compare`: comparison of encoders on the same queries, with verdicts."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from simtrain.api.inputs import CatalogSource, catalog_folder, or_terminal
from simtrain.comparison.file_names import JSON_FILE, PAGE_FILE
from simtrain.config import CompareConfig, load_compare_config, quick_config
from simtrain.config.overrides import Overrides, override_lines
from simtrain.console import Console
from simtrain.errors import CheckpointError, ConfigError
from simtrain.output_folders import output_folder
from simtrain.own_code import code_allowed

if TYPE_CHECKING:
    from simtrain.comparison.result import ComparisonReport
    from simtrain.runs.loaded_encoder import EncoderSource


def compare(
    catalog: CatalogSource,
    encoders: Sequence[EncoderSource] | None = None,
    *,
    out: str | Path | None = None,
    config: str | Path | CompareConfig | None = None,
    quick: bool = False,
    overrides: Overrides = (),
    allow_code: bool = False,
    console: Console | None = None,
) -> ComparisonReport:
    """Set encoders beside each other: figures with intervals, paired tests, a verdict for each.

    Args:
        catalog: Catalogue of `prepare`; it caches the embeddings for the next comparison.
        encoders: Runs, names and encoders in any mixture, as `simtrain.load_encoder` takes them; None: every encoder
            that `simtrain` knows by name.
        out: Folder for `comparison.json` and the page `comparison.html`; None: nothing is written.
        config: YAML file with settings, or checked settings; None: the defaults.
        quick: Whether only the few encoders that decide are compared: those that are named, what runs began with at
            the sizes of training and evaluation, and each fully whitened; where none is named a colour histogram and
            the small network. What is set otherwise stays.
        overrides: Settings that replace the file's, such as `{"split": "val"}`.
        allow_code: Whether code that a file names (`kind: python`) may be imported.
        console: Shows lines and progress; None: the terminal.

    Returns:
        Everything that was found; `.verdict(run)` is that of one encoder, and `print` shows the table.

    Raises:
        SimtrainError: for anything that the user can mend.
    """
    folder = None if out is None else Path(out).expanduser()
    base = Path(config).expanduser() if isinstance(config, str | Path) else config
    settings = load_compare_config(base, override_lines(overrides))
    from simtrain.commands.compare import compare
    from simtrain.comparison.files import write_comparison
    from simtrain.runs.loaded_encoder import run_of, sorted_sources

    with ExitStack() as stack:
        if folder is not None:
            stack.enter_context(output_folder(folder, told_as=f"--out {folder}", error=CheckpointError))
        stack.enter_context(code_allowed(allow_code))
        if quick:
            settings = quick_config(settings, with_runs=any(run_of(one) is not None for one in encoders or ()))
        chosen = sorted_sources(settings.encoders if encoders is None else encoders)
        if not (chosen.names or chosen.runs or chosen.loaded):
            raise ConfigError("compare: nothing to compare; name encoders with --encoders or runs with --run")
        report = compare(
            catalog_folder(catalog),
            chosen.runs,
            config=settings.model_copy(update={"encoders": list(chosen.names)}),
            loaded=chosen.loaded,
            console=or_terminal(console),
        )
        if folder is not None:
            or_terminal(console).aside(f"writing {JSON_FILE} and {PAGE_FILE}")
            write_comparison(report, json_file=folder / JSON_FILE, page=folder / PAGE_FILE)
    return report

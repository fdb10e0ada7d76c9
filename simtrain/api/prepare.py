"""`simtrain.prepare`: from a source of images to a catalogue."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simtrain.api.inputs import or_terminal
from simtrain.config import load_prepare_config
from simtrain.config.overrides import Overrides, override_lines
from simtrain.console import Console
from simtrain.own_code import code_allowed

if TYPE_CHECKING:
    from simtrain.catalog.prepare_report import PreparedCatalog
    from simtrain.catalog.table import Catalog


def prepare(
    source: str | Path | Callable[[], Any],
    out: str | Path,
    *,
    config: str | Path | None = None,
    overrides: Overrides = (),
    fix: bool = False,
    allow_code: bool = False,
    console: Console | None = None,
) -> PreparedCatalog:
    """Read, verify, deduplicate, split and store the images of a source, as `simtrain prepare` does.

    Args:
        source: A folder of images, a table (`.csv`, `.parquet`), `synthetic[:N]`, `kaggle:OWNER/NAME`, `digikala`,
            `fashion-mnist[:FOLDER]`, `python:MODULE:FUNCTION`; or a function of one's own, which is called without
            arguments and gives rows: mappings with `path`, or `image` with the bytes of an image file, and any columns
            (`product`, `label`, …), or a DataFrame of these.
        out: Folder of the catalogue; made if missing, replaced at the very end if there.
        config: YAML file with settings; None: those that the catalogue in `out` was made with from the same source,
            else the defaults.
        overrides: Settings that replace the file's, such as `{"columns.product": "sku"}`.
        fix: Apply the safe remedies: near duplicates join `duplicate_group`.
        allow_code: Whether code that the settings name (`near_duplicates.encoder` of `kind: python`) may be imported.
        console: Shows progress; None: the terminal.

    Returns:
        The catalogue; `print` shows what was read and what was found.

    Raises:
        CatalogError: if the source cannot be used as asked; nothing in `out` changes.
        ConfigError: for a setting that does not exist, with the nearest that does.
    """
    lines = override_lines(overrides)
    if config is None:
        settings = load_prepare_config(_kept(source, Path(out), lines, console=or_terminal(console)), lines)
    else:
        settings = load_prepare_config(Path(config).expanduser(), lines)
    from simtrain.catalog.prepare_report import PreparedCatalog
    from simtrain.commands.prepare import prepare

    named = str(source) if isinstance(source, str | Path) else source
    with code_allowed(allow_code):
        report = prepare(named, out=Path(out), config=settings, fix=fix, console=or_terminal(console))
    return PreparedCatalog.of(report)


def _kept(
    source: str | Path | Callable[[], Any], out: Path, overrides: list[str], *, console: Console
) -> dict[str, Any]:
    """The settings of the last call over the same source and folder, which stay unless they are set anew; told."""
    from simtrain.catalog.last_settings import flat_settings, last_settings

    kept = last_settings(str(source), out) if isinstance(source, str | Path) else {}
    anew = [line.partition("=")[0].strip() for line in overrides]
    shown = [
        f"{name}={json.dumps(value, ensure_ascii=False)}"
        for name, value in flat_settings(kept).items()
        if not any(name == key or name.startswith(f"{key}.") for key in anew)
    ]
    if shown:
        console.line(f"settings kept from the last time: {', '.join(shown)}; change them with --set KEY=VALUE")
    return kept


def open_catalog(folder: str | Path) -> Catalog:
    """Open a catalogue that was prepared before; `print` shows how many images each split has.

    Args:
        folder: Folder of the catalogue, or the `catalog.parquet` in it.

    Raises:
        CatalogError: if there is none, or its images have moved.
    """
    from simtrain.catalog.table import read_catalog

    return read_catalog(Path(folder))

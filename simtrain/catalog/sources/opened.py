"""Opened sources: a folder of pictures with or without a table inside, and tables alone."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from simtrain.catalog.sources.csv_dialect import Dialect
from simtrain.catalog.sources.described import chosen_tables, read_described
from simtrain.catalog.sources.embedded_layout import EmbeddedFiles
from simtrain.catalog.sources.folder import read_folder
from simtrain.catalog.sources.generated import stats_of
from simtrain.catalog.sources.naming_files import files_looked_at, naming_file_findings
from simtrain.catalog.sources.side_tables import side_table_findings, side_tables
from simtrain.catalog.sources.sidecars import read_sidecars, sidecar_finding, sidecars_of
from simtrain.catalog.sources.source import COMPUTED, PARTS, Source, text_column
from simtrain.catalog.sources.table_source import TableSettings, read_table_source
from simtrain.catalog.sources.walk import Listing
from simtrain.config import ColumnsConfig, PrepareConfig
from simtrain.errors import CatalogError
from simtrain.phrases import counted


@dataclass(frozen=True, kw_only=True)
class OpenedSource:
    """A source, and what shows whether it has changed.

    Attributes:
        source: The source with its rows.
        inputs: Path, size and time of change of each file that it was read from, images aside.
        listing: The folder, as the user named it; None: the source is another one.
    """

    source: Source
    inputs: list[list[str | int]]
    listing: Listing | None


def expanded(text: str) -> Path:
    """A path with `~` resolved.

    Raises:
        CatalogError: for the home of a user who does not exist.
    """
    try:
        return Path(text).expanduser()
    except RuntimeError as error:
        raise CatalogError(f"{text}: {error}") from None


def uses_embedded(listing: Listing, embedded: EmbeddedFiles) -> bool:
    """Whether a folder is one of Parquet files with pictures inside: some lie in it or its `data`, or no image does."""
    near = [path for path in embedded.files if path.parent in (listing.root, listing.root / "data")]
    return bool(near) or (bool(embedded.files) and not listing.images)


def read_table(path: Path, config: PrepareConfig, *, inputs: list[list[str | int]]) -> OpenedSource:
    """A table that names its images."""
    root = expanded(config.root) if config.root is not None else None
    source = read_table_source(path, settings=_settings(config, root=root, anywhere=False))
    return OpenedSource(source=source, inputs=inputs, listing=None)


def read_pictures(
    name: str, listing: Listing, embedded: EmbeddedFiles, *, config: PrepareConfig, output: Path
) -> OpenedSource:
    """The pictures below a folder, described by their folders, or by a table among them.

    Raises:
        CatalogError: for no images, a table that is not there, and settings that do not fit.
    """
    dialect = _dialect(config)
    inside = {path.relative_to(listing.root).as_posix() for path in embedded.files}
    plain = replace(listing, tables=[path for path in listing.tables if path not in inside])
    tables = side_tables(plain, dialect=dialect)
    inputs = stats_of([listing.root / table for table in plain.tables])
    if config.table is not None or config.columns != ColumnsConfig():
        chosen = chosen_tables(name, plain, tables, wanted=config.table)
        source = read_described(name, plain, chosen, config=config)
        return OpenedSource(source=source, inputs=inputs, listing=listing)
    named = [table.path for table in tables]
    inputs += stats_of([path for path in files_looked_at(plain, told=named) if path.is_file()])
    read = [path for paths in sidecars_of(listing).values() for path in paths] if config.sidecars else []
    source = read_folder(listing.without([*read, *named]), levels=config.levels, product_pattern=config.product_pattern)
    beside = side_table_findings(tables, source=name, output=output)
    beside += naming_file_findings(plain, told=named)
    findings = [*source.findings, *beside, *_deep(embedded)]
    if config.sidecars:
        source, told = _with_sidecars(source, listing)
        inputs += stats_of([listing.root / path for path in listing.sidecars])
    else:
        told = sidecar_finding(sidecars_of(listing))
    source = replace(source, findings=[*findings, *told])
    return OpenedSource(source=source, inputs=inputs, listing=listing)


def _with_sidecars(source: Source, listing: Listing) -> tuple[Source, list[dict[str, Any]]]:
    rows = source.rows
    captions, further, told = read_sidecars(
        listing, rows["path"].tolist(), taken=(*PARTS, *COMPUTED, *map(str, rows.columns))
    )
    rows = rows.assign(caption=text_column(captions), **further)
    return replace(source, rows=rows), told


def _deep(embedded: EmbeddedFiles) -> list[dict[str, Any]]:
    if not embedded.files:
        return []
    message = (
        f"{counted(len(embedded.files), 'Parquet file')} with pictures inside not read, such as {embedded.files[0]}; "
        f"to read them: simtrain prepare {embedded.files[0].parent}"
    )
    return [{"kind": "side_table", "path": str(embedded.files[0]), "images": 0, "message": message}]


def _settings(config: PrepareConfig, *, root: Path | None, anywhere: bool) -> TableSettings:
    return TableSettings(
        columns=config.columns,
        root=root,
        product_pattern=config.product_pattern,
        dialect=_dialect(config),
        follow_links=config.follow_links,
        anywhere=anywhere,
    )


def _dialect(config: PrepareConfig) -> Dialect:
    return Dialect(encoding=config.dialect.encoding, separator=config.dialect.separator)

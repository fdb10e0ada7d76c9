"""Opened sources: a folder of pictures with or without a table inside, and tables alone."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

from simtrain.catalog.sources.csv_dialect import Dialect
from simtrain.catalog.sources.embedded import EmbeddedFiles
from simtrain.catalog.sources.folder import read_folder
from simtrain.catalog.sources.generated import stats_of
from simtrain.catalog.sources.side_tables import SideTable, side_table_findings, side_tables
from simtrain.catalog.sources.sidecars import read_sidecars, sidecar_finding, sidecars_of
from simtrain.catalog.sources.source import COMPUTED, PARTS, Source, text_column
from simtrain.catalog.sources.table_source import TableSettings, read_table_source
from simtrain.catalog.sources.walk import Listing
from simtrain.config import ColumnsConfig, PrepareConfig
from simtrain.errors import CatalogError, nearest
from simtrain.phrases import counted, quoted


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
        return replace(_table_inside(name, plain, tables, config=config), listing=listing)
    read = [path for paths in sidecars_of(listing).values() for path in paths] if config.sidecars else []
    source = read_folder(listing.without(read), levels=config.levels, product_pattern=config.product_pattern)
    findings = [*source.findings, *side_table_findings(tables, source=name, output=output), *_deep(embedded)]
    if config.sidecars:
        source, told = _with_sidecars(source, listing)
        inputs += stats_of([listing.root / path for path in listing.sidecars])
    else:
        told = sidecar_finding(sidecars_of(listing))
    source = replace(source, findings=[*findings, *told])
    return OpenedSource(source=source, inputs=inputs, listing=listing)


def _table_inside(name: str, listing: Listing, tables: Sequence[SideTable], *, config: PrepareConfig) -> OpenedSource:
    for setting in ("levels", "sidecars"):
        if getattr(config, setting):
            raise CatalogError(
                f"{name}: its images are described by a table; the setting '{setting}' does not go with it"
            )
    path, table = _chosen_table(name, listing, tables, wanted=config.table)
    columns = config.columns
    if table is not None and columns.path == ColumnsConfig().path and "path" not in table.columns:
        columns = columns.model_copy(update={"path": table.column})
    root = listing.root / (table.start if table is not None else PurePosixPath(path).parent.as_posix())
    settings = _settings(
        config.model_copy(update={"columns": columns}), root=root, anywhere=table is None or table.anywhere
    )
    source = read_table_source(listing.root / path, settings=settings)
    rows, prefix = source.rows, root.relative_to(listing.root).as_posix()
    if prefix != ".":  # paths from the folder itself, whichever folder the table's start from
        rows = rows.assign(path=text_column([f"{prefix}/{one}" for one in rows["path"]]))
    unnamed = sorted(set(listing.images) - set(rows["path"]))
    message = (
        f"{path} describes the images; {counted(len(unnamed), 'image')} that it does not name left out, such as "
        f"{quoted(unnamed[0] if unnamed else None)}"
    )
    told = [{"kind": "images_not_in_table", "paths": unnamed, "message": message}] if unnamed else []
    findings = [*listing.without([path]).account(), *source.findings, *told]
    inputs = stats_of([listing.root / path])
    return OpenedSource(source=Source(rows=rows, root=listing.root, findings=findings), inputs=inputs, listing=listing)


def _chosen_table(
    name: str, listing: Listing, tables: Sequence[SideTable], *, wanted: str | None
) -> tuple[str, SideTable | None]:
    if wanted is None:
        if not tables:
            raise CatalogError(f"{name}: is a folder of images; the setting 'columns' does not go with it")
        return tables[0].path, tables[0]
    path = PurePosixPath(wanted).as_posix()
    if path not in listing.tables:
        hint = nearest(path, listing.tables) or f"; it has {', '.join(listing.tables[:10]) or 'no tables'}"
        raise CatalogError(f"{name}: table: no '{wanted}' in it{hint}")
    return path, next((table for table in tables if table.path == path), None)


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

"""Pictures of a folder that tables inside it describe."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any

import pandas as pd

from simtrain.catalog.sources.column_names import types_differ
from simtrain.catalog.sources.csv_dialect import Dialect
from simtrain.catalog.sources.folder_splits import conventional_parts
from simtrain.catalog.sources.side_tables import SideTable
from simtrain.catalog.sources.source import Source, text_column, text_of
from simtrain.catalog.sources.table_source import TableSettings, read_table_source
from simtrain.catalog.sources.walk import Listing
from simtrain.config import ColumnsConfig, PrepareConfig
from simtrain.errors import CatalogError, nearest
from simtrain.phrases import counted, quoted


def chosen_tables(
    name: str, listing: Listing, tables: Sequence[SideTable], *, wanted: str | None
) -> list[tuple[str, SideTable | None]]:
    """The tables that describe a folder's images: the one of that path, all of that file name, or the one that fits.

    Raises:
        CatalogError: if there is no such table.
    """
    if wanted is None:
        if not tables:
            raise CatalogError(f"{name}: is a folder of images; the setting 'columns' does not go with it")
        return [(tables[0].path, tables[0])]
    path = PurePosixPath(wanted).as_posix()
    paths = [path] if path in listing.tables else [one for one in listing.tables if one.endswith(f"/{path}")]
    if not paths:
        hint = nearest(path, listing.tables) or f"; it has {', '.join(listing.tables[:10]) or 'no tables'}"
        raise CatalogError(f"{name}: table: no '{wanted}' in it{hint}")
    return [(one, next((table for table in tables if table.path == one), None)) for one in paths]


def read_described(
    name: str, listing: Listing, chosen: Sequence[tuple[str, SideTable | None]], *, config: PrepareConfig
) -> Source:
    """The images that the tables name, with paths from the folder; its folders tell splits that no table tells.

    Raises:
        CatalogError: for settings that do not go with it, and whatever a table is refused for.
    """
    for setting in ("levels", "sidecars"):
        if getattr(config, setting):
            told = f"is described by {chosen[0][0]}; the setting '{setting}' does not go with it"
            raise CatalogError(f"{name}: {told}")
    sources, differing = _of_one_type([_of_table(listing, path, table, config=config) for path, table in chosen])
    rows = pd.concat([source.rows for source in sources], ignore_index=True)
    repeated = rows["id"][rows["id"].duplicated()]
    if len(repeated):
        raise CatalogError(f"{name}: the id '{repeated.iloc[0]}' stands in {chosen[0][0]} and in another table")
    findings = [
        *listing.without([path for path, _ in chosen]).account(),
        *(finding for source in sources for finding in source.findings),
        *differing,
    ]
    if rows["split"].isna().all():
        parts, told_splits = conventional_parts(rows["path"].tolist())
        if any(split is not None for split in parts["split"]):
            rows = rows.assign(split=text_column(parts["split"]))
            findings += told_splits
    return Source(
        rows=rows,
        root=listing.root,
        findings=[*findings, *_unnamed(listing, rows, path=chosen[0][0])],
        group_columns=tuple(dict.fromkeys(column for source in sources for column in source.group_columns)),
    )


def _of_one_type(sources: Sequence[Source]) -> tuple[list[Source], list[dict[str, Any]]]:
    """The sources with text in each column that is numbers in one table and something else in another, and findings.

    Raises:
        CatalogError: for a column of lists in one table and of single values in another.
    """
    types: dict[str, dict[str, str]] = {}
    for source in sources:
        for name, values in source.rows.items():
            if not values.isna().all():
                types.setdefault(str(name), {})[_sort_of(values)] = str(values.dtype)
    differing = {name: list(kinds.values()) for name, kinds in types.items() if len(kinds) > 1}
    for name in differing:
        sources = [_with_text(source, name) for source in sources]
    return list(sources), [types_differ(name, kinds) for name, kinds in differing.items()]


def _sort_of(values: pd.Series) -> str:
    if pd.api.types.is_bool_dtype(values.dtype):
        return "bool"
    return "number" if pd.api.types.is_numeric_dtype(values.dtype) else str(values.dtype)


def _with_text(source: Source, name: str) -> Source:
    if name not in source.rows:
        return source
    values = [text_of(value, where=f"column '{name}'") for value in source.rows[name].tolist()]
    return replace(source, rows=source.rows.assign(**{name: text_column(values)}))


def _of_table(listing: Listing, path: str, table: SideTable | None, *, config: PrepareConfig) -> Source:
    columns = config.columns
    if table is not None and columns.path == ColumnsConfig().path and "path" not in table.columns:
        columns = columns.model_copy(update={"path": table.column})
    start = table.start if table is not None else PurePosixPath(path).parent.as_posix()
    settings = TableSettings(
        columns=columns,
        root=listing.root / start,
        product_pattern=config.product_pattern,
        dialect=Dialect(encoding=config.dialect.encoding, separator=config.dialect.separator),
        follow_links=config.follow_links,
        anywhere=table is None or table.anywhere,
    )
    source = read_table_source(listing.root / path, settings=settings)
    if start == ".":
        return source
    paths = [f"{start}/{one}" for one in source.rows["path"]]
    ids = source.rows["id"] if (source.rows["id"] != source.rows["path"]).any() else text_column(paths)
    return replace(source, rows=source.rows.assign(path=text_column(paths), id=ids))


def _unnamed(listing: Listing, rows: pd.DataFrame, *, path: str) -> list[dict[str, Any]]:
    unnamed = sorted(set(listing.images) - set(rows["path"]))
    if not unnamed:
        return []
    message = (
        f"{path} describes the images; {counted(len(unnamed), 'image')} that it does not name left out, such as "
        f"{quoted(unnamed[0])}"
    )
    return [{"kind": "images_not_in_table", "paths": unnamed, "message": message}]

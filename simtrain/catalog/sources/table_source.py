"""Source of images that a CSV, TSV, JSON Lines or Parquet table names and describes."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from simtrain.catalog.images import IMAGE_SUFFIXES
from simtrain.catalog.sources.csv_dialect import Dialect
from simtrain.catalog.sources.likely_columns import likely_columns, repeats
from simtrain.catalog.sources.likely_pattern import likely_pattern_findings
from simtrain.catalog.sources.path_lookup import PathLookup
from simtrain.catalog.sources.product_pattern import products_from_paths
from simtrain.catalog.sources.source import (
    COMPUTED,
    PARTS,
    Source,
    is_boolean,
    known_split,
    source_rows,
    text_of,
)
from simtrain.catalog.sources.spelling import folded
from simtrain.catalog.sources.table_file import TableFile, read_table_file
from simtrain.catalog.sources.table_parts import parts_of, refuse_repeated_ids, rows_that_fit, unfit_ids
from simtrain.catalog.sources.table_paths import paths_of
from simtrain.config import ColumnsConfig
from simtrain.errors import CatalogError, nearest
from simtrain.phrases import counted, shortened

_TAKEN = (*PARTS, *COMPUTED)
_LONGEST_NAME, _LONGEST_NAMES = 100, 300  # characters of a message


@dataclass(frozen=True, kw_only=True)
class TableSettings:
    """How a table is read as a source.

    Attributes:
        columns: Which column plays which part.
        root: Folder that the paths start from; null: the table's own.
        product_pattern: Regular expression whose one group gives the product from the path; null: none.
        dialect: How to read text files.
        follow_links: Take files that are links to somewhere outside the root.
        anywhere: Take a file of a path's name that lies anywhere below the root, if there is one alone.
    """

    columns: ColumnsConfig
    root: Path | None
    product_pattern: str | None
    dialect: Dialect
    follow_links: bool
    anywhere: bool


def read_table_source(path: Path, *, settings: TableSettings) -> Source:
    """Read a table with one row per image, in its own order.

    A column plays a part if a setting says so, or by its name, whose blanks and capitals do not count. One that plays a
    part by another name stays under its own name too, unless that is the name of a part. A column that nothing uses,
    but whose name the catalogue needs, is kept as `source_NAME`; so is one of a part's name that holds something else,
    such as search words in `query`. Rows are counted from 1 below the header; those without a path, and
    few with one that cannot be or with another value that is not allowed, are left out and told.

    Args:
        path: The table.
        settings: How it is read.

    Raises:
        CatalogError: for columns that are not there, paths outside the root, ids that are not unique, values that a
            part does not allow.
    """
    chosen = settings.columns.model_dump(exclude={"group"})
    wanted = {part: name.strip() for part, name in chosen.items() if isinstance(name, str)}
    barred = {part for part, name in chosen.items() if name is False}
    text_columns = {folded(name) for name in (*PARTS, *wanted.values(), *settings.columns.groups)}
    table = read_table_file(path, text_columns=text_columns, dialect=settings.dialect)
    used, findings = _columns_in_use(path, table, wanted=wanted, barred=barred)
    groups = _group_columns(path, table, wanted=settings.columns.groups)
    folder = (settings.root if settings.root is not None else path.parent).resolve()
    if not folder.is_dir():
        raise CatalogError(f"{folder}: no such folder; the paths of {path} start from it (root)")
    lookup = PathLookup(root=folder, follow_links=settings.follow_links, anywhere=settings.anywhere)
    paths, kept, told = paths_of(path, table.frame[used["path"]].tolist(), name=used["path"], lookup=lookup)
    paths, kept, equal = _without_equal_rows(path, table.frame, paths=paths, kept=kept)
    told += equal
    frame, numbers = table.frame.iloc[kept].reset_index(drop=True), [row + 1 for row in kept]
    places, odd = rows_that_fit(path, frame, used=used, rows=numbers)
    frame, numbers = frame.iloc[places].reset_index(drop=True), [numbers[place] for place in places]
    paths = [paths[place] for place in places]
    told += odd
    if "id" in used and "id" not in wanted and (problem := unfit_ids(frame[used["id"]], rows=numbers)) is not None:
        told.append(_set_free(path, "id", used.pop("id"), problem))
    parts = {"path": paths, **parts_of(path, frame, used=used, rows=numbers)}
    refuse_repeated_ids(path, parts.get("id", paths), rows=numbers, name=used.get("id"))
    if settings.product_pattern is not None:
        if "product" in used:
            raise CatalogError(
                f"{path}: both product_pattern and column '{used['product']}' give the product; keep one"
            )
        ids = parts.get("id", paths)
        parts["product"], missed = products_from_paths(paths, ids=ids, pattern=settings.product_pattern)
        told += missed
    elif not {"product"} & (used.keys() | barred) and not any("product" in one.get("columns", ()) for one in findings):
        told += likely_pattern_findings(paths)
    further, renamed = _further(frame, used=used)
    kept_as = {name: part for part, name in used.items()} | {
        finding["column"]: finding["kept_as"] for finding in renamed
    }
    return Source(
        rows=source_rows(parts, further),
        root=folder,
        findings=[*table.findings, *findings, *told, *renamed],
        group_columns=tuple(name if name in further else kept_as[name] for name in groups),
    )


def _group_columns(path: Path, table: TableFile, *, wanted: Sequence[str]) -> list[str]:
    """The table's columns of `columns.group`, each once."""
    names = [str(name) for name in table.frame.columns]
    return list(dict.fromkeys(_column_named(path, names, part="group", wanted=name.strip()) for name in wanted))


def _column_named(path: Path, names: Sequence[str], *, part: str, wanted: str) -> str:
    """The column of that name, capitals aside."""
    column = wanted if wanted in names else _by_folded(names).get(folded(wanted))
    if column is None:
        hint = nearest(wanted, names) or f"; it has {_shown(names)}"
        raise CatalogError(f"{path}: columns.{part}: no column '{wanted}'{hint}")
    return column


def _without_equal_rows(
    path: Path, frame: pd.DataFrame, *, paths: list[str], kept: list[int]
) -> tuple[list[str], list[int], list[dict[str, Any]]]:
    """Paths and rows without those that say the same as an earlier one, cell by cell."""
    if len(set(paths)) == len(paths):
        return paths, kept, []
    seen: dict[tuple[str | None, ...], int] = {}
    held = frame.iloc[kept]
    cells = held.astype(str).astype(object).where(held.notna(), None)  # a text column keeps its NaN, unequal to itself
    for place, row in enumerate(cells.itertuples(index=False, name=None)):
        seen.setdefault(row, place)
    first = sorted(seen.values())
    repeated = sorted(set(range(len(kept))) - set(first))
    if not repeated:
        return paths, kept, []
    rows = [kept[place] + 1 for place in repeated]
    message = f"{path.name}: {counted(len(rows), 'row')} equal to an earlier one left out, the first: row {rows[0]}"
    finding = {"kind": "rows_left_out", "rows": rows, "message": message}
    return [paths[place] for place in first], [kept[place] for place in first], [finding]


def _columns_in_use(
    path: Path, table: TableFile, *, wanted: Mapping[str, str], barred: set[str]
) -> tuple[dict[str, str], list[dict[str, Any]]]:
    """The column of each part that the table gives: the named ones, else one of the part's own name that is free."""
    names = [str(name) for name in table.frame.columns]
    by_folded = _by_folded(names)
    if wanted["path"] not in names and folded(wanted["path"]) not in by_folded:
        raise CatalogError(_no_path_column(path, table.frame, wanted=wanted["path"]))
    used = {part: _column_named(path, names, part=part, wanted=name) for part, name in wanted.items()}
    free = {name for name in names if name not in used.values()}
    findings = []
    for part in PARTS:
        name = part if part in free else by_folded.get(part, part)
        if part in used or part in barred or name not in free:
            continue
        problem = _unfit(table.frame[name], part)
        if problem is None:
            used[part] = name
        else:
            findings.append(_set_free(path, part, name, problem))
    odd = {part: name for part, name in used.items() if part not in wanted and name != part}
    odd |= {part: used[part] for part, name in wanted.items() if used[part] != name}
    if odd:
        told = ", ".join(f"'{name}' as {part}" for part, name in odd.items())
        message = f"{path.name}: columns read though their names differ in capitals or blanks: {told}"
        findings.append({"kind": "columns_matched", "columns": odd, "message": message})
    if set(wanted) == {"path"} and not barred:
        freed = {str(finding["column"]) for finding in findings if finding["kind"] == "column_set_free"}
        findings += _likely_columns(path, table.frame.drop(columns=list(freed)), used=used)
    return used, findings


def _by_folded(names: Sequence[str]) -> dict[str, str]:
    return {folded(name): name for name in reversed(names)}


def _likely_columns(path: Path, frame: pd.DataFrame, *, used: Mapping[str, str]) -> list[dict[str, Any]]:
    """A finding where no column has a part's name, but one a usual name of it, such as `sku`."""
    names = [str(name) for name in frame.columns]
    likely = {part: name for part, name in likely_columns(names, taken=list(used.values())).items() if part not in used}
    if not likely:
        return []
    named = ", ".join(f"'{name}' may be the {part}" for part, name in likely.items())
    settings = [f"columns.{part}={name}" for part, name in likely.items()]
    words = [word for setting in settings for word in ("--set", setting)]
    message = f"{path.name}: {named}; to use it as such: {shlex.join(words)}"
    grouping = [name for part, name in likely.items() if part in ("product", "label") and repeats(frame[name])]
    return [
        {"kind": "likely_columns", "columns": likely, "settings": settings, "grouping": grouping, "message": message}
    ]


def _set_free(path: Path, part: str, name: str, problem: str) -> dict[str, Any]:
    message = (
        f"{path.name}: column '{name}' is not used as {part}, for it {problem}; to use it all the same: "
        f"--set columns.{part}={name}; not to be told: --set columns.{part}=false"
    )
    return {"kind": "column_set_free", "column": name, "message": message}


def _unfit(values: pd.Series, part: str) -> str | None:
    """Why a column of a part's name is no such part, although nobody said that it is; None: it may be."""
    present = [value for value in values.tolist() if not pd.api.types.is_scalar(value) or not pd.isna(value)]
    if part != "path" and any(not pd.api.types.is_scalar(value) or isinstance(value, bytes) for value in present):
        return "holds lists or the like"
    texts = [text for value in present if (text := text_of(value, where=part)) is not None]
    if part in ("query", "gallery") and 2 * sum(map(is_boolean, texts)) < len(texts):
        return f"holds text, such as '{shortened(next(text for text in texts if not is_boolean(text)), to=60)}'"
    if part == "split" and texts and not any(known_split(text) or nearest(text.lower(), _SPLITS) for text in texts):
        return f"names no split, such as '{shortened(texts[0], to=60)}'"
    return None


_SEPARATORS = (";", "\t", "|", "~", "^", ":", " ")
_SPLITS = ("train", "training", "val", "valid", "validation", "dev", "test", "testing")


def _no_path_column(path: Path, frame: pd.DataFrame, *, wanted: str) -> str:
    names = [str(name) for name in frame.columns]
    message = f"{path}: no column '{wanted}' with the image files; it has {_shown(names)}"
    separator = next((sign for sign in _SEPARATORS if len(names) == 1 and sign in names[0]), None)
    if separator is not None:
        return f"{message}; are its fields separated by something else? --set dialect.separator='{separator}'"
    if any(name.lower().endswith(tuple(IMAGE_SUFFIXES)) for name in names):
        return f"{message}; has it no header? write the names of the columns into its first line, such as path,product"
    for name, values in frame.items():
        head = [str(value).strip().lower() for value in values.dropna().head(20)]
        if len(str(name)) <= _LONGEST_NAME and head and all(value.endswith(tuple(IMAGE_SUFFIXES)) for value in head):
            likely = {"path": str(name), **likely_columns(names, taken=[str(name)])}
            unnamed = {part: column for part, column in likely.items() if part != column}
            others = [f"'{column}' may be the {part}" for part, column in unnamed.items() if part != "path"]
            told = f"; {', '.join(others)}" if others else ""
            words = [word for part, column in unnamed.items() for word in ("--set", f"columns.{part}={column}")]
            return f"{message}; '{name}' looks like image files{told}: {shlex.join(words)}"
    return message


def _shown(names: Sequence[str]) -> str:
    return shortened(", ".join(names), to=_LONGEST_NAMES)


def _further(frame: pd.DataFrame, *, used: Mapping[str, str]) -> tuple[dict[str, pd.Series], list[dict[str, Any]]]:
    further: dict[str, pd.Series] = {}
    findings: list[dict[str, Any]] = []
    for name in map(str, frame.columns):
        if name not in _TAKEN:
            further[name] = frame[name]
        elif name not in used.values():
            kept_as = f"source_{name}"
            while kept_as in frame.columns:
                kept_as = f"source_{kept_as}"
            further[kept_as] = frame[name]
            reason = f"the catalogue's own '{name}' takes its name"
            findings.append({"kind": "renamed_column", "column": name, "kept_as": kept_as, "reason": reason})
    return further, findings

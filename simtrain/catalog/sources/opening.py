"""Opening of the source that `simtrain prepare` names: folder, table, Kaggle, Fashion-MNIST, synthetic, archive."""

import os
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from simtrain.catalog.sources.alike import united
from simtrain.catalog.sources.archive import unpack_archive
from simtrain.catalog.sources.embedded import embedded_files, extract_embedded, other_pictures, refuse_unknown_pictures
from simtrain.catalog.sources.embedded_columns import embedded_columns
from simtrain.catalog.sources.embedded_layout import EmbeddedFiles, layout_of
from simtrain.catalog.sources.fashion_mnist import write_fashion_mnist
from simtrain.catalog.sources.generated import Making, stats_of
from simtrain.catalog.sources.kaggle import DIGIKALA, download_kaggle
from simtrain.catalog.sources.opened import OpenedSource, expanded, read_pictures, read_table, uses_embedded
from simtrain.catalog.sources.own_rows import PATH, RowsFunction, write_own_rows
from simtrain.catalog.sources.source import Source
from simtrain.catalog.sources.spreadsheet import OTHER_SHEETS
from simtrain.catalog.sources.table_file import TABLE_SUFFIXES, is_table, refuse_no_file
from simtrain.catalog.sources.walk import Listing, list_folder
from simtrain.catalog.staging import DOWNLOAD_FOLDER
from simtrain.config import ColumnsConfig, PrepareConfig
from simtrain.console import Console
from simtrain.errors import CatalogError, error_path, nearest, system_reason
from simtrain.mistaken import mistaken
from simtrain.own_code import check_arguments, import_target
from simtrain.phrases import counted

_SYNTHETIC_PRODUCTS = 240
_ROWS_FOLDER = "rows"
_WORDS = ("synthetic", "kaggle", "digikala", "fashion-mnist", "python")
_OF_FOLDERS = ("levels", "table", "sidecars")
_LARGEST_ARCHIVE = 500 * 2**30  # bytes, unpacked


@dataclass(frozen=True, kw_only=True)
class Opening:
    """Folders that a source may write to, and the download that this layer cannot do.

    Attributes:
        work: Folder for unfinished files.
        output: The catalogue's folder, which is never part of a source.
        fetch_fashion_mnist: Downloads Fashion-MNIST into a folder and returns where its files lie.
        console: Shows how far making the files is.
        rows: Function that was handed over in Python in the place of `python:MODULE:FUNCTION`; None: none was.
    """

    work: Path
    output: Path
    fetch_fashion_mnist: Callable[[Path], Path]
    console: Console
    rows: RowsFunction | None = None

    @property
    def making(self) -> Making:
        """For sources that are made into files."""
        return Making(work=self.work, output=self.output)


def open_source(name: str, *, config: PrepareConfig, opening: Opening) -> OpenedSource:
    """Read a folder, a table, or a source that is first made into files.

    The words `synthetic`, `kaggle`, `digikala`, `fashion-mnist` and `python` come before files of that name
    (`./synthetic`).
    Products and labels that a person reads as equal are equal in what is returned.

    Raises:
        CatalogError: if there is no such source, or it cannot be read with these settings.
    """
    opened = _opened(name, config=config, opening=opening)
    return replace(opened, source=united(opened.source, nothing=config.nothing))


def _opened(name: str, *, config: PrepareConfig, opening: Opening) -> OpenedSource:
    word, _, rest = name.partition(":")
    match word:
        case "synthetic":
            _refuse(config, source=name, names=(*_OF_FOLDERS, "root"), kind="a synthetic catalogue")
            return read_table(_draw_synthetic(name, config=config, opening=opening), config, inputs=[])
        case "kaggle":
            return _kaggle(name, dataset=rest, config=config, opening=opening)
        case "digikala":
            if rest:
                raise CatalogError(f"{name}: digikala takes nothing behind it; another dataset: kaggle:OWNER/NAME")
            return _kaggle(name, dataset=DIGIKALA, config=config, opening=opening)
        case "fashion-mnist":
            _refuse(config, source=name, names=(*_OF_FOLDERS, "root"), kind="Fashion-MNIST")
            return _fashion_mnist(name, place=rest, config=config, opening=opening)
        case "python":
            _refuse(config, source=name, names=_OF_FOLDERS, kind="a function that gives rows")
            return _own(name, target=rest, config=config, opening=opening)
    return _local(name, config=config, opening=opening)


def _local(name: str, *, config: PrepareConfig, opening: Opening) -> OpenedSource:
    path = expanded(name)
    if path.is_dir():
        listing = list_folder(path, output=opening.output, follow_links=config.follow_links)
        embedded = embedded_files(listing.root, listing.tables)
        if uses_embedded(listing, embedded):
            shards = [path.relative_to(listing.root).as_posix() for path in embedded.files]
            told = [*listing.without(shards).account(), *_beside(listing, embedded)]
            opened = _embedded(name, embedded, config=config, opening=opening, told=told)
            return replace(opened, listing=listing)
        if embedded.problems and not listing.images:
            first, reason = embedded.problems[0]
            raise CatalogError(f"{path / first}: {reason}")
        if not listing.images:
            refuse_unknown_pictures(path, listing.tables)
        _refuse(config, source=name, names=("root",), kind="a folder of images")
        return read_pictures(name, listing, embedded, config=config, output=opening.output)
    if not path.exists():
        raise CatalogError(_no_such_source(name))
    if not is_table(path):
        if path.suffix.lower() in OTHER_SHEETS:
            raise CatalogError(f"{path}: a spreadsheet that is not read; save it as .xlsx or .csv")
        if path.suffix.lower() == ".json":
            raise CatalogError(
                f"{path}: JSON is read as one object a line; write it so and save it as .jsonl, or as .csv"
            )
        unknown = f"{path}: not a source; expected a folder of images or a table ({', '.join(TABLE_SUFFIXES)})"
        raise CatalogError(mistaken(path, expected="source") or unknown)
    refuse_no_file(path)
    if path.suffix.lower() == ".parquet" and embedded_columns(path):
        embedded = EmbeddedFiles(files=[path], root=path.parent, problems=[])
        return _embedded(name, embedded, config=config, opening=opening, told=[])
    _refuse(config, source=name, names=_OF_FOLDERS, kind="a table")
    return read_table(path, config, inputs=stats_of([path]))


def _beside(listing: Listing, embedded: EmbeddedFiles) -> list[dict[str, Any]]:
    """What lies beside Parquet files with pictures inside and is not read."""
    found: list[dict[str, Any]] = [
        {"kind": "left_out", "path": path, "reason": reason} for path, reason in embedded.problems
    ]
    if listing.images:
        message = (
            f"not looked at: {counted(len(listing.images), 'image file')} beside the Parquet files with pictures "
            "inside, "
            f"such as '{listing.images[0]}'"
        )
        files = {"files": len(listing.images), "suffixes": {}, "examples": listing.images[:1]}
        found.append({"kind": "other_files", **files, "message": message})
    return found


def _kaggle(name: str, *, dataset: str, config: PrepareConfig, opening: Opening) -> OpenedSource:
    _refuse(config, source=name, names=("root",), kind="a folder of images once it is downloaded")

    def make(folder: Path) -> None:
        download = opening.work / DOWNLOAD_FOLDER
        archive = download_kaggle(dataset, download)
        unpack_archive(archive, folder, largest_bytes=_LARGEST_ARCHIVE, console=opening.console)

    folder = opening.making.folder({"kaggle": dataset}, make)
    listing = list_folder(folder, output=opening.output, follow_links=config.follow_links)
    embedded = embedded_files(listing.root, listing.tables)
    if uses_embedded(listing, embedded):
        raise CatalogError(
            f"{name}: its pictures lie inside Parquet files, such as {embedded.files[0].relative_to(listing.root)}; "
            "download and unpack it yourself and give the folder"
        )
    opened = read_pictures(name, listing, embedded, config=config, output=opening.output)
    return OpenedSource(source=opened.source, inputs=[], listing=None)


def _fashion_mnist(name: str, *, place: str, config: PrepareConfig, opening: Opening) -> OpenedSource:
    if place and not expanded(place).is_dir():
        raise CatalogError(f"{name}: no such folder; fashion-mnist alone downloads it")
    inputs = stats_of(sorted(expanded(place).rglob("*-ubyte*"))) if place else []

    def make(folder: Path) -> None:
        download = opening.work / DOWNLOAD_FOLDER
        local = expanded(place) if place else opening.fetch_fashion_mnist(download)
        write_fashion_mnist(local, folder, console=opening.console)

    return read_table(opening.making.folder({"fashion-mnist": inputs}, make) / "manifest.csv", config, inputs=inputs)


def _embedded(
    name: str,
    embedded: EmbeddedFiles,
    *,
    config: PrepareConfig,
    opening: Opening,
    told: list[dict[str, Any]],
) -> OpenedSource:
    _refuse(config, source=name, names=(*_OF_FOLDERS, "root"), kind="a table with the images inside")
    inputs = stats_of(embedded.files)
    chosen = None if config.columns.path == ColumnsConfig().path else config.columns.path

    def make(folder: Path) -> None:
        extract_embedded(embedded, folder, image_column=chosen, console=opening.console)

    layout = layout_of(embedded, image_column=chosen)
    table = opening.making.folder({"embedded": inputs, "column": chosen}, make) / "rows.parquet"
    columns = config.columns.model_copy(update={"path": ColumnsConfig().path})
    opened = read_table(table, config.model_copy(update={"columns": columns}), inputs=inputs)
    told = [*told, *layout.findings, *other_pictures(embedded, image_column=chosen)]
    findings = [*told, *opened.source.findings, *_several_pictures(opened.source)]
    return replace(opened, source=replace(opened.source, findings=findings))


def _several_pictures(source: Source) -> list[dict[str, Any]]:
    """A finding where rows held several pictures each and no product says that they belong together."""
    rows = source.rows
    if "source_row" not in rows.columns or rows["product"].notna().any():
        return []
    message = (
        f"{counted(int(rows['source_row'].nunique()), 'row')} hold {counted(len(rows), 'picture')}; if the pictures "
        "of a row "
        "show one product: --set columns.product=source_row"
    )
    return [{"kind": "several_pictures", "images": len(rows), "message": message}]


def _own(name: str, *, target: str, config: PrepareConfig, opening: Opening) -> OpenedSource:
    """Rows of the user's own function, which is called each time: only it knows what it gives."""
    with error_path("", names={"target": "SOURCE"}):
        function = import_target(target) if opening.rows is None else opening.rows
    if not callable(function):
        raise CatalogError(f"{name}: is {type(function).__name__}; allowed: a function that gives rows")
    with error_path("", names={"parameters": "SOURCE"}):
        check_arguments(function, (), {}, target=target)
    found = write_own_rows(function, opening.work / _ROWS_FOLDER, name=name, path_column=config.columns.path)
    if found.has_images:
        _refuse(config, source=name, names=("root",), kind="a function that gives images as bytes")

        def make(folder: Path) -> None:
            for path in found.table.parent.iterdir():
                path.rename(folder / path.name)

        made = opening.making.folder({"python": target, "sha256": found.digest}, make)
        columns = config.columns.model_copy(update={"path": PATH})
        return read_table(made / found.table.name, config.model_copy(update={"columns": columns}), inputs=[])
    return read_table(found.table, _with_root(config, found.table), inputs=[])


def _with_root(config: PrepareConfig, table: Path) -> PrepareConfig:
    """The folder that holds all files of a table, unless the settings name one."""
    if config.root is not None:
        return config
    folders = {str(Path(path).parent) for path in pd.read_parquet(table)[config.columns.path]}
    return config.model_copy(update={"root": os.path.commonpath(folders)})


def _refuse(config: PrepareConfig, *, source: str, names: tuple[str, ...], kind: str) -> None:
    """Settings that would have no effect are mistakes."""
    for name in names:
        if getattr(config, name) not in (None, False, ColumnsConfig()):
            raise CatalogError(f"{source}: is {kind}; the setting '{name}' does not go with it")


def _draw_synthetic(name: str, *, config: PrepareConfig, opening: Opening) -> Path:
    match = re.fullmatch(r"synthetic(?::([1-9][0-9]{0,5}))?", name)
    if match is None:
        raise CatalogError(
            f"{name}: expected synthetic or synthetic:N with N products, 1 to 999999, such as "
            f"synthetic:{_SYNTHETIC_PRODUCTS}"
        )
    products = int(match.group(1) or _SYNTHETIC_PRODUCTS)
    made_from: dict[str, Any] = {"synthetic": products, **config.synthetic.model_dump(), "seed": config.seed}

    def make(folder: Path) -> None:
        from simtrain.synthetic import write_synthetic_catalog  # what draws is needed by no other source

        try:
            write_synthetic_catalog(
                folder,
                products=products,
                views=config.synthetic.views,
                size=config.synthetic.image_size,
                seed=config.seed,
                workers=config.workers or os.cpu_count() or 1,
            )
        except OSError as error:
            raise CatalogError(f"{name}: its pictures cannot be written: {system_reason(error)}") from None

    return opening.making.folder(made_from, make) / "manifest.csv"


def _no_such_source(source: str) -> str:
    path = Path(source)
    word, colon, rest = source.partition(":")
    hint = nearest(word, _WORDS)
    if hint and colon:
        hint = hint.replace("'?", f":{rest}'?")
    if not hint and path.parent.is_dir():
        hint = nearest(source, [str(other) for other in path.parent.iterdir()])
    return f"{source}: no such folder or table{hint or '; for a rendered example catalogue give: synthetic'}"

"""Opening of the source that `simtrain prepare` names: folder, table, Kaggle, Fashion-MNIST, synthetic, archive."""

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from simtrain.catalog.sources.archive import unpack_archive
from simtrain.catalog.sources.embedded import embedded_columns, embedded_files, extract_embedded
from simtrain.catalog.sources.fashion_mnist import write_fashion_mnist
from simtrain.catalog.sources.folder import read_folder
from simtrain.catalog.sources.generated import Making, stats_of
from simtrain.catalog.sources.kaggle import DIGIKALA, download_kaggle
from simtrain.catalog.sources.own_rows import PATH, RowsFunction, write_own_rows
from simtrain.catalog.sources.source import Source
from simtrain.catalog.sources.table_file import TABLE_SUFFIXES
from simtrain.catalog.sources.table_source import read_table_source
from simtrain.catalog.staging import DOWNLOAD_FOLDER
from simtrain.config import ColumnsConfig, PrepareConfig
from simtrain.console import Console
from simtrain.errors import CatalogError, error_path, nearest
from simtrain.own_code import check_arguments, import_target

_SYNTHETIC_PRODUCTS = 240
_ROWS_FOLDER = "rows"
_WORDS = ("synthetic", "kaggle", "digikala", "fashion-mnist", "python")
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


@dataclass(frozen=True, kw_only=True)
class OpenedSource:
    """A source, and the file stats that show whether it has changed.

    Attributes:
        source: The source with its rows.
        inputs: Path, size and time of change of each file that it was read from, images aside.
        walked: Whether its images are all those in its folder, found by listing it.
    """

    source: Source
    inputs: list[list[str | int]]
    walked: bool


def open_source(name: str, *, config: PrepareConfig, opening: Opening) -> OpenedSource:
    """Read a folder, a table, or a source that is first made into files.

    The words `synthetic`, `kaggle`, `digikala`, `fashion-mnist` and `python` come before files of that name
    (`./synthetic`).

    Raises:
        CatalogError: if there is no such source, or it cannot be read with these settings.
    """
    word, _, rest = name.partition(":")
    match word:
        case "synthetic":
            _refuse(config, source=name, names=("root", "levels"), kind="a synthetic catalogue")
            return _table(_draw_synthetic(name, config=config, opening=opening), config, inputs=[])
        case "kaggle":
            return _kaggle(name, dataset=rest, config=config, opening=opening)
        case "digikala":
            if rest:
                raise CatalogError(f"{name}: digikala takes nothing behind it; another dataset: kaggle:OWNER/NAME")
            return _kaggle(name, dataset=DIGIKALA, config=config, opening=opening)
        case "fashion-mnist":
            _refuse(config, source=name, names=("root", "levels"), kind="Fashion-MNIST")
            return _fashion_mnist(name, place=rest, config=config, opening=opening)
        case "python":
            _refuse(config, source=name, names=("levels",), kind="a function that gives rows")
            return _own(name, target=rest, config=config, opening=opening)
    return _local(name, config=config, opening=opening)


def _local(name: str, *, config: PrepareConfig, opening: Opening) -> OpenedSource:
    path = expanded(name)
    if path.is_dir():
        shards = embedded_files(path)
        if shards:
            return _embedded(name, shards, config=config, opening=opening)
        _refuse(config, source=name, names=("root", "columns"), kind="a folder of images")
        return _folder(path, config=config, output=opening.output)
    if not path.exists():
        raise CatalogError(_no_such_source(name))
    if path.suffix.lower() not in TABLE_SUFFIXES:
        raise CatalogError(
            f"{path}: not a source; expected a folder of images or a table ({', '.join(TABLE_SUFFIXES)})"
        )
    if path.suffix.lower() == ".parquet" and embedded_columns(path):
        return _embedded(name, [path], config=config, opening=opening)
    _refuse(config, source=name, names=("levels",), kind="a table")
    return _table(path, config, inputs=stats_of([path]))


def _folder(path: Path, *, config: PrepareConfig, output: Path) -> OpenedSource:
    source = read_folder(path, levels=config.levels, product_pattern=config.product_pattern, output=output)
    return OpenedSource(source=source, inputs=[], walked=True)


def _table(path: Path, config: PrepareConfig, *, inputs: list[list[str | int]]) -> OpenedSource:
    root = expanded(config.root) if config.root is not None else None
    source = read_table_source(path, columns=config.columns, root=root, product_pattern=config.product_pattern)
    return OpenedSource(source=source, inputs=inputs, walked=False)


def _kaggle(name: str, *, dataset: str, config: PrepareConfig, opening: Opening) -> OpenedSource:
    _refuse(config, source=name, names=("root", "columns"), kind="a folder of images once it is downloaded")

    def make(folder: Path) -> None:
        download = opening.work / DOWNLOAD_FOLDER
        archive = download_kaggle(dataset, download)
        unpack_archive(archive, folder, largest_bytes=_LARGEST_ARCHIVE, console=opening.console)

    opened = _folder(opening.making.folder({"kaggle": dataset}, make), config=config, output=opening.output)
    return OpenedSource(source=opened.source, inputs=[], walked=False)


def _fashion_mnist(name: str, *, place: str, config: PrepareConfig, opening: Opening) -> OpenedSource:
    if place and not expanded(place).is_dir():
        raise CatalogError(f"{name}: no such folder; fashion-mnist alone downloads it")
    inputs = stats_of(sorted(expanded(place).rglob("*-ubyte*"))) if place else []

    def make(folder: Path) -> None:
        download = opening.work / DOWNLOAD_FOLDER
        local = expanded(place) if place else opening.fetch_fashion_mnist(download)
        write_fashion_mnist(local, folder, console=opening.console)

    return _table(opening.making.folder({"fashion-mnist": inputs}, make) / "manifest.csv", config, inputs=inputs)


def _embedded(name: str, files: list[Path], *, config: PrepareConfig, opening: Opening) -> OpenedSource:
    _refuse(config, source=name, names=("root", "levels"), kind="a table with the images inside")
    inputs = stats_of(files)
    chosen = None if config.columns.path == ColumnsConfig().path else config.columns.path

    def make(folder: Path) -> None:
        extract_embedded(files, folder, image_column=chosen, console=opening.console)

    table = opening.making.folder({"embedded": inputs, "column": chosen}, make) / "rows.parquet"
    columns = config.columns.model_copy(update={"path": ColumnsConfig().path})
    return _table(table, config.model_copy(update={"columns": columns}), inputs=inputs)


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
        return _table(made / found.table.name, config.model_copy(update={"columns": columns}), inputs=[])
    return _table(found.table, _with_root(config, found.table), inputs=[])


def _with_root(config: PrepareConfig, table: Path) -> PrepareConfig:
    """The folder that holds all files of a table, unless the settings name one."""
    if config.root is not None:
        return config
    folders = {str(Path(path).parent) for path in pd.read_parquet(table)[config.columns.path]}
    return config.model_copy(update={"root": os.path.commonpath(folders)})


def expanded(text: str) -> Path:
    """A path with `~` resolved.

    Raises:
        CatalogError: for the home of a user who does not exist.
    """
    try:
        return Path(text).expanduser()
    except RuntimeError as error:
        raise CatalogError(f"{text}: {error}") from None


def _refuse(config: PrepareConfig, *, source: str, names: tuple[str, ...], kind: str) -> None:
    """Settings that would have no effect are mistakes."""
    for name in names:
        if getattr(config, name) not in (None, ColumnsConfig()):
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
            raise CatalogError(f"{name}: its pictures cannot be written: {error.strerror}") from None

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

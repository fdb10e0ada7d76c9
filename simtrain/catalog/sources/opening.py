"""From what stands behind `simtrain prepare` to a source."""

import os
import re
from pathlib import Path

from simtrain.catalog.sources.folder import read_folder
from simtrain.catalog.sources.source import Source
from simtrain.catalog.sources.table_file import TABLE_SUFFIXES
from simtrain.catalog.sources.table_source import read_table_source
from simtrain.config import ColumnsConfig, PrepareConfig, nearest
from simtrain.errors import CatalogError

SYNTHETIC_FOLDER = "source"
"""Name of the folder, inside the catalogue's, that holds the pictures of a synthetic source."""

_SYNTHETIC_PRODUCTS = 240
_LATER = ("kaggle", "digikala", "fashion-mnist")


def open_source(source: str, *, config: PrepareConfig, output: Path, staging: Path) -> Source:
    """Read a folder, a table or a synthetic catalogue.

    The words `synthetic`, `kaggle`, `digikala` and `fashion-mnist` come before files of that name (`./synthetic`).

    Args:
        source: What the user named.
        config: Settings.
        output: Folder that results go to; no part of the source.
        staging: Existing folder in which a synthetic catalogue is drawn, as `SYNTHETIC_FOLDER`.

    Raises:
        CatalogError: if there is no such source, or it cannot be read with these settings.
    """
    word, _, _ = source.partition(":")
    if word == "synthetic":
        _refuse(config, source=source, names=("root", "levels"), kind="a synthetic catalogue")
        return _draw_synthetic(source, config=config, folder=staging / SYNTHETIC_FOLDER)
    if word in _LATER:
        raise CatalogError(
            f"{source}: this source is not supported in this version; download the images and give their folder"
            f"{f' (./{source} for a folder of that name)' if Path(source).is_dir() else ''}"
        )
    path = Path(source)
    if path.is_dir():
        _refuse(config, source=source, names=("root", "columns"), kind="a folder of images")
        return read_folder(path, levels=config.levels, product_pattern=config.product_pattern, output=output)
    if not path.exists():
        raise CatalogError(_no_such_source(source))
    if path.suffix.lower() not in TABLE_SUFFIXES:
        raise CatalogError(
            f"{path}: not a source; expected a folder of images or a table ({', '.join(TABLE_SUFFIXES)})"
        )
    _refuse(config, source=source, names=("levels",), kind="a table")
    return read_table_source(
        path,
        columns=config.columns,
        root=Path(config.root).expanduser() if config.root is not None else None,
        product_pattern=config.product_pattern,
    )


def _refuse(config: PrepareConfig, *, source: str, names: tuple[str, ...], kind: str) -> None:
    """Settings that would have no effect are mistakes."""
    for name in names:
        if getattr(config, name) not in (None, ColumnsConfig()):
            raise CatalogError(f"{source}: is {kind}; the setting '{name}' does not go with it")


def _draw_synthetic(source: str, *, config: PrepareConfig, folder: Path) -> Source:
    match = re.fullmatch(r"synthetic(?::([1-9][0-9]{0,5}))?", source)
    if match is None:
        raise CatalogError(
            f"{source}: expected synthetic or synthetic:N with N products, 1 to 999999, such as "
            f"synthetic:{_SYNTHETIC_PRODUCTS}"
        )
    from simtrain.catalog.synthetic import write_synthetic_catalog  # OpenCV, which no other source needs

    try:
        manifest = write_synthetic_catalog(
            folder,
            products=int(match.group(1) or _SYNTHETIC_PRODUCTS),
            views=config.synthetic.views,
            size=config.synthetic.image_size,
            seed=config.seed,
            workers=config.workers or os.cpu_count() or 1,
        )
    except OSError as error:
        raise CatalogError(f"{source}: its pictures cannot be written: {error.strerror}") from None
    return read_table_source(manifest, columns=config.columns, root=None, product_pattern=config.product_pattern)


def _no_such_source(source: str) -> str:
    path = Path(source)
    word, colon, rest = source.partition(":")
    hint = nearest(word, ("synthetic", *_LATER))
    if hint and colon:
        hint = hint.replace("'?", f":{rest}'?")
    if not hint and path.parent.is_dir():
        hint = nearest(source, [str(other) for other in path.parent.iterdir()])
    return f"{source}: no such folder or table{hint or '; for a rendered example catalogue give: synthetic'}"

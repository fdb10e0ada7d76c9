"""Source of images that a function of the user's own gives, row by row."""

import hashlib
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from simtrain.catalog.picture_kinds import HEAD_BYTES, picture_suffix
from simtrain.errors import CatalogError, first_line
from simtrain.own_code import code_of

IMAGE, PATH = "image", "path"
"""Keys of a row: the bytes of an image file, or where the file is."""

_FOLDER, _TABLE = "images", "rows.parquet"

RowsFunction = Callable[[], Any]
"""Gives rows: an iterable of mappings, or a DataFrame."""


@dataclass(frozen=True, kw_only=True)
class OwnRows:
    """Rows that were written down.

    Attributes:
        table: A Parquet table with `path` and the other columns.
        digest: SHA-256 of the images that were given as bytes, and of the table.
        has_images: Whether images were given as bytes; they lie in `images` beside the table.
    """

    table: Path
    digest: str
    has_images: bool


def write_own_rows(function: RowsFunction, folder: Path, *, name: str, path_column: str) -> OwnRows:
    """Call the function and write what it gives to a table, and images that come as bytes to files beside it.

    Args:
        function: The user's own.
        folder: Made anew.
        name: What messages call the source.
        path_column: Key of a row that says where its image file is, where it has no bytes under `image`.

    Raises:
        CatalogError: for something else than rows, naming the first row at fault.
        Exception: that the function raises.
    """
    shutil.rmtree(folder, ignore_errors=True)
    (folder / _FOLDER).mkdir(parents=True)
    digest, rows, given = hashlib.sha256(), [], set()
    for number, row in enumerate(_rows(function, name=name), start=1):
        where = f"{name}: row {number}"
        if not isinstance(row, Mapping):
            raise CatalogError(f"{where}: got {type(row).__name__}; allowed: a mapping from column to value")
        values = {str(key): _plain(value) for key, value in row.items()}
        content = values.get(IMAGE)
        given.add(isinstance(content, bytes))
        if len(given) > 1:
            raise CatalogError(f"{where}: give images as bytes ('{IMAGE}') or as files ('{path_column}'), not both")
        if isinstance(content, bytes):
            digest.update(hashlib.sha256(content).digest())
            rows.append(_with_image(values, content, folder, number=number))
        elif values.get(path_column):
            rows.append({**values, path_column: str(Path(str(values[path_column])).expanduser().absolute())})
        else:
            raise CatalogError(f"{where}: neither '{IMAGE}' with the bytes of an image file nor '{path_column}'")
    if not rows:
        raise CatalogError(f"{name}: gave no rows")
    table = (folder / _TABLE).absolute()  # a relative `shop:v2/x` is an address to pyarrow
    try:
        pd.DataFrame(rows).to_parquet(table, index=False)
    except (ValueError, TypeError) as error:  # pyarrow's errors are of these kinds
        raise CatalogError(f"{name}: its rows make no table: {first_line(error)}") from None
    digest.update(table.read_bytes())
    return OwnRows(table=table, digest=digest.hexdigest(), has_images=given == {True})


def _with_image(values: dict[str, Any], content: bytes, folder: Path, *, number: int) -> dict[str, Any]:
    """A row whose image is written to a file; what was called `path` becomes `source_path`."""
    path = folder / _FOLDER / f"{number - 1:08d}{picture_suffix(content[:HEAD_BYTES]) or _UNKNOWN}"
    path.write_bytes(content)
    others = {"source_path" if key == PATH else key: value for key, value in values.items() if key != IMAGE}
    return {PATH: path.relative_to(folder).as_posix(), **others}


def _rows(function: RowsFunction, *, name: str) -> Iterator[Any]:
    with code_of(name):
        found = function()
    if isinstance(found, pd.DataFrame):
        repeated = found.columns[found.columns.duplicated()]
        if len(repeated):
            raise CatalogError(
                f"{name}: gave a DataFrame with several columns '{repeated[0]}'; their names must differ"
            )
        found = found.to_dict(orient="records")
    try:
        rows = iter(found)
    except TypeError:
        raise CatalogError(
            f"{name}: gave {type(found).__name__}; allowed: rows, each a mapping, or a DataFrame"
        ) from None
    while True:
        with code_of(name):
            row = next(rows, _END)
        if row is _END:
            return
        yield row


_UNKNOWN = ".bin"
_END = object()


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, Path) else value

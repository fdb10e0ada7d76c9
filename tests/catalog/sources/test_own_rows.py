"""A source of the user's own: rows with files or bytes, and each mistake."""

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from own_modules import OwnModule
from PIL import Image

from simtrain.catalog.images import read_image
from simtrain.catalog.table import read_catalog
from simtrain.commands.prepare import PrepareReport, prepare
from simtrain.config import PrepareConfig
from simtrain.errors import SimtrainError
from simtrain.own_code import whose_code

SETTINGS = {"near_duplicates": {"find": False}, "workers": 1}


def picture(level: int) -> bytes:
    out = io.BytesIO()
    Image.fromarray(np.random.default_rng(level).integers(0, 256, (64, 70, 3), dtype=np.uint8)).save(out, "PNG")
    return out.getvalue()


def made(source: Any, folder: Path, **settings: Any) -> PrepareReport:
    return prepare(source, out=folder / "catalog", config=PrepareConfig.model_validate({**SETTINGS, **settings}))


def as_bytes() -> Iterator[dict[str, Any]]:
    for number in range(6):
        yield {"image": picture(number), "product": f"p{number // 2}", "path": f"shop/{number}", "price": 1.5 * number}


def test_images_as_bytes_are_kept_beside_the_catalogue_with_every_column(tmp_path: Path):
    catalog = made(as_bytes, tmp_path).catalog
    rows = catalog.rows.sort_values("id")
    assert rows["id"].tolist() == [f"images/{number:08d}.png" for number in range(6)]
    assert rows["product"].tolist() == ["p0", "p0", "p1", "p1", "p2", "p2"]
    assert rows["source_path"].tolist() == [f"shop/{number}" for number in range(6)]
    assert rows["price"].tolist() == [0.0, 1.5, 3.0, 4.5, 6.0, 7.5]
    for number, row in enumerate(rows.index):
        assert catalog.image_path(int(row)).read_bytes() == picture(number)


def test_files_stay_where_they_are_below_their_common_folder(tmp_path: Path):
    for name in ("a/0.png", "a/1.png", "b/2.png"):
        (tmp_path / "photos" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "photos" / name).write_bytes(picture(len(name)))
    frame = pd.DataFrame({"path": [tmp_path / "photos" / name for name in ("a/0.png", "a/1.png", "b/2.png")]})
    catalog = made(lambda: frame, tmp_path).catalog
    assert catalog.root == (tmp_path / "photos").resolve()
    assert sorted(catalog.rows["path"]) == ["a/0.png", "a/1.png", "b/2.png"]
    assert not (tmp_path / "catalog" / "source").exists()


def test_relative_files_start_from_the_working_folder_and_columns_may_have_other_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    for number in range(2):
        Path(f"{number}.png").write_bytes(picture(number))
    rows = [{"file": f"{number}.png", "sku": "x"} for number in range(2)]
    catalog = made(lambda: rows, tmp_path, columns={"path": "file", "product": "sku"}).catalog
    assert sorted(catalog.rows["path"]) == ["0.png", "1.png"]
    assert set(catalog.rows["product"]) == {"x"}


def test_a_catalogue_may_have_a_colon_in_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    assert len(made(as_bytes, Path("shop:v2")).catalog.rows) == 6


def test_the_function_is_called_each_time_and_equal_images_are_not_read_again(tmp_path: Path):
    calls, count = [], [6]

    def source() -> list[dict[str, Any]]:
        calls.append(1)
        return list(as_bytes())[: count[0]]

    first = made(source, tmp_path)
    again = made(source, tmp_path)
    assert (len(calls), first.fresh, again.fresh) == (2, 6, 0)
    count[0] = 4
    assert len(made(source, tmp_path).catalog.rows) == 4
    for row in range(4):
        read_image(read_catalog(tmp_path / "catalog").image_path(row))


def test_it_is_named_by_its_path(tmp_path: Path):
    with OwnModule(tmp_path).importable() as module:
        catalog = made(f"python:{module.name}:rows", tmp_path).catalog
    assert len(catalog.rows) == 64
    assert set(catalog.rows["shelf"]) == {0, 1, 2}


def rows(*given: Any) -> Callable[[], list[Any]]:
    return lambda: list(given)


IMAGE = {"image": picture(0)}
MISTAKES = [
    (lambda: 3, {}, "gave int; allowed: rows, each a mapping, or a DataFrame"),
    (rows(), {}, "gave no rows"),
    (
        lambda: pd.DataFrame([["a.png", "x", "y"]], columns=["path", "label", "label"]),
        {},
        "gave a DataFrame with several columns 'label'; their names must differ",
    ),
    (rows("a.png"), {}, "row 1: got str; allowed: a mapping from column to value"),
    (rows({"product": "x"}), {}, "row 1: neither 'image' with the bytes of an image file nor 'path'"),
    (rows(IMAGE, {"path": "a.png"}), {}, "row 2: give images as bytes ('image') or as files ('path'), not both"),
    (rows({**IMAGE, "a": object()}), {}, "its rows make no table: "),
    (rows(IMAGE), {"levels": ["label"]}, "is a function that gives rows; the setting 'levels' does not go with it"),
    (rows(IMAGE), {"root": "/"}, "is a function that gives images as bytes; the setting 'root' does not go with it"),
]


@pytest.mark.parametrize(("source", "settings", "message"), MISTAKES)
def test_mistakes_name_the_source_and_the_row(source: Any, settings: dict[str, Any], message: str, tmp_path: Path):
    with pytest.raises(SimtrainError) as caught:
        made(source, tmp_path, **settings)
    where, _, problem = str(caught.value).partition("<lambda>: ")
    assert where.startswith(f"python:{__name__}:")
    assert problem.startswith(message)
    assert not (tmp_path / "catalog").exists()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nowhere:rows", "SOURCE: nowhere:rows: there is no module 'nowhere' among the installed packages"),
        ("json:lods", "SOURCE: json:lods: 'json' has no 'lods'; did you mean 'loads'?"),
        ("json", "SOURCE: 'json': expected MODULE:NAME, such as my_package.module:MyClass"),
        ("string:digits", "python:string:digits: is str; allowed: a function that gives rows"),
        ("textwrap:dedent", "SOURCE: textwrap:dedent(text): missing a required argument: 'text'"),
    ],
)
def test_a_name_that_gives_no_rows_is_told(name: str, message: str, tmp_path: Path):
    with pytest.raises(SimtrainError) as caught:
        made(f"python:{name}", tmp_path)
    assert str(caught.value).startswith(message)


def test_what_the_function_raises_itself_is_left_as_it_is(tmp_path: Path):
    def source() -> Iterator[dict[str, Any]]:
        yield IMAGE
        raise FileNotFoundError("no such shop")

    with pytest.raises(FileNotFoundError) as caught:
        made(source, tmp_path)
    assert str(whose_code(caught.value)).startswith(f"python:{__name__}:")

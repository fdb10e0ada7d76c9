"""Sources by name: which is meant, and what is refused in which words."""

import os
from pathlib import Path

import pytest

from simtrain.catalog.sources.opening import Opening, open_source
from simtrain.config import load_prepare_config
from simtrain.console import SILENT
from simtrain.errors import CatalogError


def touch(root: Path, *paths: str) -> Path:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(b"")
    return root


def opening(folder: Path) -> Opening:
    return Opening(work=folder / "work", output=folder / "out", fetch_fashion_mnist=lambda place: place, console=SILENT)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("synthetc", "synthetc: no such folder or table; did you mean 'synthetic'?"),
        ("synthetc:40", "synthetc:40: no such folder or table; did you mean 'synthetic:40'?"),
        ("DIR/prodcts", "DIR/prodcts: no such folder or table; did you mean 'DIR/products'?"),
        ("DIR/x/y", "DIR/x/y: no such folder or table; for a rendered example catalogue give: synthetic"),
        (
            "DIR/list.txt",
            "DIR/list.txt: not a source; expected a folder of images or a table (.csv, .tsv, .jsonl, .parquet, .xlsx)",
        ),
        (
            "synthetic:many",
            "synthetic:many: expected synthetic or synthetic:N with N products, 1 to 999999, such as synthetic:240",
        ),
        (
            "synthetic:0",
            "synthetic:0: expected synthetic or synthetic:N with N products, 1 to 999999, such as synthetic:240",
        ),
        ("digikala:train", "digikala:train: digikala takes nothing behind it; another dataset: kaggle:OWNER/NAME"),
        ("fashion-mnist:DIR/x", "fashion-mnist:DIR/x: no such folder; fashion-mnist alone downloads it"),
        ("kagle:me/mugs", "kagle:me/mugs: no such folder or table; did you mean 'kaggle:me/mugs'?"),
    ],
)
def test_sources_that_are_not_there(tmp_path: Path, source: str, expected: str) -> None:
    touch(tmp_path, "products/a.jpg", "list.txt")
    with pytest.raises(CatalogError) as caught:
        open_source(
            source.replace("DIR", str(tmp_path)),
            config=load_prepare_config(None, []),
            opening=opening(tmp_path),
        )
    assert str(caught.value).replace(str(tmp_path), "DIR") == expected


@pytest.mark.parametrize(
    ("source", "setting", "expected"),
    [
        ("DIR/products", "root=DIR", "is a folder of images; the setting 'root' does not go with it"),
        ("DIR/products", "columns.label=x", "is a folder of images; the setting 'columns' does not go with it"),
        ("DIR/table.csv", "levels=[label]", "is a table; the setting 'levels' does not go with it"),
        ("synthetic:3", "levels=[label]", "is a synthetic catalogue; the setting 'levels' does not go with it"),
    ],
)
def test_settings_without_effect_are_refused(tmp_path: Path, source: str, setting: str, expected: str) -> None:
    touch(tmp_path, "products/a.jpg", "table.csv")
    with pytest.raises(CatalogError) as caught:
        open_source(
            source.replace("DIR", str(tmp_path)),
            config=load_prepare_config(None, [setting]),
            opening=opening(tmp_path),
        )
    assert str(caught.value).replace(str(tmp_path), "DIR") == f"{source}: {expected}"


@pytest.mark.parametrize("name", ["t.csv", "t.jsonl", "t.parquet", "t.xlsx"])
@pytest.mark.parametrize("what", ["a pipe that nobody writes to", "a device without an end"])
def test_a_table_that_is_no_file_is_not_waited_for(tmp_path: Path, name: str, what: str) -> None:
    if what.startswith("a pipe"):
        os.mkfifo(tmp_path / name)
    else:
        (tmp_path / name).symlink_to("/dev/zero")
    with pytest.raises(CatalogError) as told:
        open_source(str(tmp_path / name), config=load_prepare_config(None, []), opening=opening(tmp_path))
    expected = "is a folder, a pipe or a device; write the table to a file and give that"
    assert str(told.value) == f"{tmp_path / name}: {expected}"

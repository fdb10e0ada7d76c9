"""Settings of the last `prepare` over the same source stay, and are told."""

import csv
from pathlib import Path

import pytest
from recording_console import RecordingConsole
from small_commands import write_shop

import simtrain
from simtrain.catalog.last_settings import last_settings
from simtrain.config import PrepareConfig


@pytest.fixture
def table(tmp_path: Path) -> Path:
    folder = write_shop(tmp_path / "shop", classes={"mug": 6, "lamp": 6})
    paths = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.*"))
    with (folder / "shop.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "sku"])
        writer.writerows([[path, f"s{place // 2}"] for place, path in enumerate(paths)])
    return folder / "shop.csv"


def prepared(table: Path, out: Path, **overrides: object) -> tuple[int, list[str]]:
    """Products of the catalogue, and the lines that were shown."""
    console = RecordingConsole()
    settings = {"workers": 1, **{name.replace("__", "."): value for name, value in overrides.items()}}
    made = simtrain.prepare(table, out, overrides=settings, console=console)
    return int(made.rows["product"].nunique()), [line for line in console.lines if "last time" in line]


def test_second_call_without_settings_keeps_them(table: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert prepared(table, out, columns__product="sku") == (6, [])
    told = 'settings kept from the last time: columns.product="sku"; change them with --set KEY=VALUE'
    assert prepared(table, out) == (6, [told])
    assert prepared(table, out, split__val=0.3) == (6, [told])
    assert last_settings(str(table), out) == {"columns": {"product": "sku"}, "split": {"val": 0.3}}


def test_setting_that_is_set_anew_counts(table: Path, tmp_path: Path) -> None:
    prepared(table, tmp_path / "out", columns__product="sku")
    assert prepared(table, tmp_path / "out", columns__product=None) == (0, [])


def test_other_source_begins_with_the_defaults(table: Path, tmp_path: Path) -> None:
    prepared(table, tmp_path / "out", columns__product="sku")
    other = table.with_name("other.csv")
    other.write_text(table.read_text(encoding="utf-8"), encoding="utf-8")
    assert prepared(other, tmp_path / "out") == (0, [])


def test_no_catalogue_has_no_settings(tmp_path: Path) -> None:
    assert last_settings("shop.csv", tmp_path) == {}
    assert PrepareConfig().columns.product is None

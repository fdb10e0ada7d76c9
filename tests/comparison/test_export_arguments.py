"""How the encoders of a comparison are named to export."""

from dataclasses import replace
from pathlib import Path

import pytest
from small_configs import run_config

from simtrain.catalog.table import Catalog
from simtrain.comparison.export_arguments import ExportArguments, named_arguments, run_arguments
from simtrain.config import load_compare_config
from simtrain.config.encoder_names import named_encoder
from simtrain.runs.run import Run


def run_of(catalog: Catalog, folder: str) -> Run:
    config = run_config(catalog, Path("checkpoints"))
    return Run(folder=Path(folder), config=config, record={}, own_catalog=config.catalog, own_fold=config.fold)


@pytest.mark.parametrize(
    ("overrides", "options"),
    [
        ([], ()),
        (["relevance=product"], ()),
        (["relevance=label"], ("--set", "relevance=label")),
        (["relevance=[[label, color]]"], ("--set", 'relevance=["label", "color"]')),
        (["relevance=[{same: color, other: product}]"], ("--set", 'relevance={"same": "color"}')),
    ],
)
def test_a_name_goes_with_catalogue_and_relevance(
    overrides: list[str], options: tuple[str, ...], catalog: Catalog
) -> None:
    config = load_compare_config(None, overrides)
    found = named_arguments("pixels", named_encoder("pixels"), config=config, runs=[], catalog=catalog)
    assert found.as_is() == ("pixels", "--catalog", str(catalog.folder), *options)
    assert found.whitened(power=0.25, shrinkage=0.1) == (
        "pixels_half_whitened", "--catalog", str(catalog.folder), *options,
    )  # fmt: skip


def test_another_shrinkage_is_named() -> None:
    arguments = ExportArguments(name="pixels", options=(), whitens=True)
    assert arguments.whitened(power=0.5, shrinkage=0.3) == (
        "pixels_whitened", "--set", "encoder.whitening.shrinkage=0.3",
    )  # fmt: skip


def test_what_reads_texts_is_not_exported_whitened(catalog: Catalog) -> None:
    config = load_compare_config(None, [])
    found = named_arguments("clip", named_encoder("clip"), config=config, runs=[], catalog=catalog)
    assert found.whitened(power=0.5, shrinkage=0.1) is None


@pytest.mark.parametrize(
    ("folder", "start", "expected"),
    [
        ("checkpoints/small", False, "small"),
        ("checkpoints/small", True, "start_of_small"),
        ("elsewhere/small", True, "start_of_elsewhere/small"),
    ],
)
def test_a_run_has_its_own_catalogue(folder: str, start: bool, expected: str, catalog: Catalog) -> None:
    run = run_of(catalog, folder)
    assert run_arguments(run, start=start, catalog=catalog).as_is() == (expected,)
    other = replace(catalog, folder=Path("other"))
    assert run_arguments(run, start=start, catalog=other).as_is() == (expected, "--catalog", "other")

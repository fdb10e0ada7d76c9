"""What a name that export was given stands for."""

import shutil
from pathlib import Path

import pytest
import yaml
from small_runs import train

from simtrain.catalog.table import Catalog, write_catalog
from simtrain.config import EncoderWhiteningConfig, HistogramConfig
from simtrain.errors import CheckpointError, ConfigError
from simtrain.runs.loaded_encoder import LoadedEncoder, load_encoder
from simtrain.runs.run import Run
from simtrain.runs.untouched_encoder import UntouchedEncoder, loaded_source, named_source


@pytest.fixture(scope="module")
def first_run(catalog: Catalog, tmp_path_factory: pytest.TempPathFactory) -> Run:
    encoder = {"kind": "timm", "model": "test_efficientnet", "weights": "none", "image_size": 32, "whitening": {}}
    return train(catalog, tmp_path_factory.mktemp("runs"), encoder=encoder)


@pytest.fixture
def here(first_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with `checkpoints/small`."""
    shutil.copytree(first_run.folder, tmp_path / "checkpoints" / "small")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def untouched(name: str, *overrides: str) -> UntouchedEncoder:
    source = named_source(name, overrides=overrides)
    assert isinstance(source, UntouchedEncoder)
    return source


@pytest.mark.parametrize(
    ("name", "power"),
    [
        ("histogram_hsv", None),
        ("histogram_hsv_whitened", 0.5),
        ("histogram_hsv_half_whitened", 0.25),
        ("histogram_hsv_whitened_0.4", 0.4),
    ],
)
def test_a_name_of_compare_is_an_encoder_and_its_whitening(name: str, power: float | None, catalog: Catalog) -> None:
    source = untouched(name, f"catalog={catalog.folder}")
    whitening = None if power is None else EncoderWhiteningConfig(power=power)
    assert source.config.encoder == HistogramConfig(kind="histogram", space="hsv", whitening=whitening)
    assert (source.name, source.config.catalog) == (name, str(catalog.folder))
    assert source.config.relevance == "product"


def test_a_catalogue_without_products_is_judged_by_labels(catalog: Catalog, tmp_path: Path) -> None:
    rows = catalog.rows.assign(product=None)
    write_catalog(Catalog(rows=rows, root=catalog.root, folder=tmp_path))
    assert untouched("pixels", f"catalog={tmp_path}").config.relevance == "label"
    assert untouched("pixels", f"catalog={tmp_path}", "relevance=color").config.relevance == "color"


def test_a_catalogue_has_to_be_named() -> None:
    with pytest.raises(ConfigError) as caught:
        named_source("pixels_whitened", overrides=[])
    assert str(caught.value) == (
        "export: pixels_whitened has no catalogue of its own; name its folder: --catalog FOLDER"
    )


def test_a_file_names_encoder_and_catalogue(tmp_path: Path, catalog: Catalog) -> None:
    path = tmp_path / "one.yaml"
    path.write_text(yaml.safe_dump({"encoder": {"kind": "pixels"}}))
    with pytest.raises(ConfigError, match=r"^export: one\.yaml has no catalogue of its own"):
        named_source(str(path), overrides=[])
    path.write_text(yaml.safe_dump({"encoder": {"kind": "pixels"}, "catalog": str(catalog.folder)}))
    source = untouched(f"{path}_whitened")
    assert (source.name, source.config.catalog) == ("one.yaml_whitened", str(catalog.folder))
    assert source.config.encoder.whitening == EncoderWhiteningConfig(power=0.5)  # type: ignore[union-attr]


def test_a_run_comes_first_and_is_whitened_if_its_name_says_so(here: Path) -> None:
    plain, whitened = named_source("small", overrides=[]), named_source("small_half_whitened", overrides=["seed=3"])
    assert isinstance(plain, Run)
    assert isinstance(whitened, Run)
    assert plain.folder == whitened.folder == Path("checkpoints/small")
    assert whitened.config.encoder.whitening == EncoderWhiteningConfig(power=0.25)  # type: ignore[union-attr]
    assert whitened.config.seed == 3


@pytest.mark.parametrize("run", ["small", "checkpoints/small"])
def test_the_encoder_that_a_run_began_with(run: str, here: Path) -> None:
    plain, whitened = untouched(f"start_of_{run}"), untouched(f"start_of_{run}_whitened")
    assert (plain.name, whitened.name) == ("start_of_small", "start_of_small_whitened")
    assert plain.start_of is not None
    assert plain.start_of.folder == Path("checkpoints/small")
    assert plain.config.encoder.whitening is None  # type: ignore[union-attr]
    assert whitened.config.encoder.whitening == EncoderWhiteningConfig(power=0.5)  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("smal", "smal: no such run in checkpoints; did you mean 'small'?"),
        ("pixel", "pixel: no such run in checkpoints; did you mean 'pixels'?"),
        ("start_of_other", "start_of_other: no such run in checkpoints; runs there: small"),
    ],
)
def test_another_name_is_told_with_what_is_allowed(name: str, told: str, here: Path) -> None:
    with pytest.raises(CheckpointError) as caught:
        named_source(name, overrides=[])
    first, second = str(caught.value).splitlines()
    assert first == told
    assert second == (
        "an untouched encoder is pixels, histogram_hsv, histogram_lab, efficientnet_lite0, resnet50, simclr_resnet50, "
        "clip, timm:MODEL[=WEIGHTS], resnet:MODEL[=WEIGHTS], clip:MODEL, python:MODULE:NAME, a .yaml or start_of_RUN; "
        "_whitened or _half_whitened may follow"
    )


def test_an_encoder_in_memory_is_itself(catalog: Catalog) -> None:
    loaded = load_encoder("histogram_lab")
    source = loaded_source(loaded, overrides=[f"catalog={catalog.folder}"])
    assert isinstance(source, UntouchedEncoder)
    assert source.network is loaded.network
    assert source.config.encoder == loaded.config
    nameless = LoadedEncoder(name="mine", network=loaded.network, config=None, run=None)
    with pytest.raises(ConfigError, match=r"^mine: has no configuration by which a bundle could make it again$"):
        loaded_source(nameless, overrides=[])

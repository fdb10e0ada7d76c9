"""Which normalisation a run settles on before its first step, and what is said of it."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from recording_console import RecordingConsole
from resnet_states import FORMATS, bolts, source_state

from simtrain import cli
from simtrain.catalog.table import Catalog
from simtrain.config import RunConfig, dump_yaml
from simtrain.console import SILENT
from simtrain.encoders.simclr_formats import Source
from simtrain.runs.folder import resumed_record
from simtrain.runs.initial_encoder import settle_normalisation
from simtrain.runs.run import data_fingerprint
from simtrain.training.ranks import SINGLE_PROCESS

MakeConfig = Callable[..., RunConfig]
GONE: dict[str, Any] = {"kind": "resnet", "model": "resnet18", "weights": "gone.pth"}


@pytest.fixture(scope="module")
def google_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(tmp_path_factory.mktemp("google") / "simclr.pth", "google-simclr-v2")


def save(path: Path, source: Source) -> Path:
    torch.save(FORMATS[source](source_state("resnet18")), path)
    return path


def told(config: RunConfig, *, resume: bool = False) -> tuple[Any, list[str]]:
    """The encoder's configuration as settled, and what is said."""
    lines: list[str] = []
    found, _ = settle_normalisation(
        config,
        Path(config.checkpoints) / str(config.run),
        resume=resume,
        console=RecordingConsole(on_line=lines.append),
    )
    return found.encoder, lines


def begun(config: RunConfig, catalog: Catalog, *, recorded: bool = True) -> Path:
    """A run's folder, with the normalisation in its configuration, or of before there was any."""
    folder = Path(config.checkpoints) / str(config.run)
    folder.mkdir(parents=True)
    tree = yaml.safe_load(dump_yaml(config))
    if not recorded:
        del tree["encoder"]["normalisation"]
    (folder / "config.yaml").write_text(yaml.safe_dump(tree))
    record = {"status": "interrupted", "data": {"catalog": str(catalog.folder), **data_fingerprint(catalog)}}
    (folder / "run.json").write_text(json.dumps(record))
    return folder


def test_the_file_tells(make_config: MakeConfig, google_weights: Path):
    encoder, lines = told(make_config(encoder={**GONE, "weights": str(google_weights)}))
    assert encoder.normalisation == "unit_range"
    assert lines == ["weights: Google SimCLRv2 resnet18, images from 0 to 1, projection head of 7 tensors left out"]


def test_the_file_of_the_image_side_tells(make_config: MakeConfig, google_weights: Path):
    image = {**GONE, "weights": str(google_weights), "normalisation": "imagenet"}
    encoder, lines = told(make_config(encoder={"kind": "two_towers", "image": image, "text": "unread"}))
    assert encoder.image.normalisation == "imagenet"
    assert lines[1:] == [
        "warning: encoder.image.normalisation is imagenet, and these weights were trained with unit_range"
    ]
    open_image = {**image, "normalisation": None}
    encoder, lines = told(make_config(encoder={"kind": "two_towers", "image": open_image, "text": "unread"}))
    assert (encoder.image.normalisation, len(lines)) == ("unit_range", 1)


def test_a_named_normalisation_holds_and_its_difference_to_the_file_is_told(
    make_config: MakeConfig, google_weights: Path
):
    encoder, lines = told(make_config(encoder={**GONE, "weights": str(google_weights), "normalisation": "imagenet"}))
    assert encoder.normalisation == "imagenet"
    assert lines == [
        "weights: Google SimCLRv2 resnet18, ImageNet normalisation, projection head of 7 tensors left out",
        "warning: encoder.normalisation is imagenet, and these weights were trained with unit_range",
    ]


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, "ImageNet normalisation (assumed, the file does not say; encoder.normalisation sets it)"),
        ({"normalisation": "imagenet"}, "ImageNet normalisation"),
        ({"normalisation": "unit_range"}, "images from 0 to 1"),
    ],
)
def test_a_normalisation_that_no_file_tells_is_called_assumed(
    make_config: MakeConfig, tmp_path: Path, settings: dict[str, Any], expected: str
):
    weights = save(tmp_path / "weights.pth", "torchvision")
    _, lines = told(make_config(encoder={**GONE, **settings, "weights": str(weights)}))
    assert lines == [f"weights: resnet18 in torchvision's names, {expected}"]


@pytest.mark.parametrize("settings", [{"weights": "none"}, {"weights": "DEFAULT"}, {"weights_match": "order"}])
def test_without_names_in_a_file_it_is_imagenet_s(make_config: MakeConfig, settings: dict[str, Any]):
    encoder, lines = told(make_config(encoder={**GONE, **settings}))
    assert (encoder.normalisation, lines) == ("imagenet", [])


def test_an_encoder_with_no_use_for_it_stays_as_it_is(make_config: MakeConfig):
    config = make_config()
    assert told(config) == (config.encoder, [])


def test_a_run_that_goes_on_keeps_its_own_and_reads_no_file(make_config: MakeConfig, catalog: Catalog):
    config = make_config(encoder={**GONE, "normalisation": "unit_range"})
    begun(config, catalog)
    encoder, lines = told(make_config(encoder=GONE), resume=True)
    assert (encoder, lines) == (config.encoder, [])


@pytest.mark.parametrize("named", [None, "imagenet"])
def test_a_run_of_before_this_was_recorded_goes_on_with_imagenet_s(
    make_config: MakeConfig, catalog: Catalog, google_weights: Path, named: str | None
):
    """Whatever its file says by now: it was trained so."""
    config = make_config(encoder={**GONE, "weights": str(google_weights), "normalisation": named})
    folder = begun(config, catalog, recorded=False)
    found, weights = settle_normalisation(config, folder, resume=True, console=SILENT)
    assert (told(config, resume=True)[0].normalisation, weights) == ("imagenet", None)
    assert resumed_record(found, catalog, folder, SINGLE_PROCESS, console=SILENT)["status"] == "running"


def test_another_run_s_weights_bring_its_normalisation(make_config: MakeConfig, catalog: Catalog):
    source = begun(make_config(run="source", encoder={**GONE, "normalisation": "unit_range"}), catalog)
    encoder, lines = told(make_config(encoder=GONE, init_from=str(source)))
    assert (encoder.normalisation, lines) == ("unit_range", [])


def test_a_named_normalisation_holds_and_its_difference_to_another_run_s_is_told(
    make_config: MakeConfig, catalog: Catalog
):
    source = begun(make_config(run="source", encoder={**GONE, "normalisation": "unit_range"}), catalog)
    encoder, lines = told(make_config(encoder={**GONE, "normalisation": "imagenet"}, init_from=str(source)))
    assert encoder.normalisation == "imagenet"
    assert lines == [f"warning: init_from: {source} was trained with normalisation: unit_range, this run sets imagenet"]


@pytest.mark.parametrize("verb", [["fit"], ["evaluate", "--split", "val"]])
@pytest.mark.parametrize(
    ("content", "model", "expected"),
    [
        (
            {"state_dict": bolts(source_state("resnet18") | {"conv1.weight": torch.ones(64, 3, 3, 3)})},
            "resnet18",
            "{}: its first convolution is 3 by 3, for the 32 pixels of CIFAR; allowed: 7 by 7, as for ImageNet",
        ),
        (
            {"state_dict": bolts(source_state("resnet18"))},
            "resnet50",
            "encoder.weights: {} holds a resnet18, and model is resnet50; set model: resnet18",
        ),
    ],
)
def test_a_checkpoint_that_does_not_fit_is_refused_in_one_line(
    make_config: MakeConfig,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    verb: list[str],
    content: Any,
    model: str,
    expected: str,
):
    torch.save(content, tmp_path / "simclr.ckpt")
    config = make_config(encoder={**GONE, "weights": str(tmp_path / "simclr.ckpt"), "model": model})
    (tmp_path / "shop.yaml").write_text(dump_yaml(config))
    monkeypatch.setattr(sys, "argv", ["simtrain", verb[0], str(tmp_path / "shop.yaml"), *verb[1:]])
    with pytest.raises(SystemExit) as leaving:
        cli.main()
    shown = capsys.readouterr().err.splitlines()
    assert (leaving.value.code, shown[-1]) == (2, f"error: {expected.format(tmp_path / 'simclr.ckpt')}")
    assert len([line for line in shown if line.startswith("error")]) == 1
    assert not Path(config.checkpoints).exists()

"""What a run keeps of its encoder's start, and the encoder that comes back from it."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import TypeAdapter
from tiny_clip import DIMENSIONS, make_tiny_clip
from tiny_text import make_tiny_multilingual, make_tiny_text

from simtrain.builders.encoder import build_encoder
from simtrain.builders.saved_encoder import (
    encoder_without_weights,
    load_initial_encoder,
    save_initial_encoder,
    saved_encoder_config,
)
from simtrain.config import EncoderConfig, PixelsConfig
from simtrain.encoders.base import Encoder
from simtrain.encoders.text import TextEncoder
from simtrain.errors import CheckpointError, ConfigError

TEXTS = ["a red mug", "a blue chair"]
TIMM = {"kind": "timm", "model": "test_efficientnet", "weights": "none", "image_size": 32}
VIT = {"kind": "timm", "model": "test_vit", "weights": "none", "image_size": 32}
RESNET = {"kind": "resnet", "model": "resnet18", "weights": "none", "image_size": 32, "embedding_size": 16}


def config_of(values: dict[str, Any]) -> EncoderConfig:
    config: EncoderConfig = TypeAdapter(EncoderConfig).validate_python(values)
    return config


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    """Folder of the models that the configurations name."""
    folder = tmp_path / "sources"
    make_tiny_clip(folder / "clip")
    make_tiny_multilingual(folder / "words", size=DIMENSIONS)
    make_tiny_text(folder / "text")
    return folder


@pytest.fixture
def named(sources: Path) -> Callable[[str], dict[str, Any]]:
    clip = {"kind": "clip", "model": str(sources / "clip")}
    two_towers = {"kind": "two_towers", "text": str(sources / "text" / "model")}
    known: dict[str, dict[str, Any]] = {
        "timm": TIMM,
        "resnet": RESNET,
        "factors": {**VIT, "lora": {"rank": 2}, "embedding_size": 8},
        "clip": {**clip, "resize": "pad"},
        "clip factors": {**clip, "lora": {"rank": 2}},
        "clip, other texts": {**clip, "text_model": str(sources / "words" / "model")},
        "two towers": {**two_towers, "image": TIMM},
        "two towers, factors": {**two_towers, "image": {**VIT, "lora": {"rank": 2}}},
    }
    return known.__getitem__


def begun(values: dict[str, Any]) -> Encoder:
    """With random weights that no other run begins with, factors that have learned something among them."""
    encoder = build_encoder(config_of(values), load=True)
    with torch.no_grad():
        for parameter in encoder.parameters():
            parameter.add_(0.02 * torch.randn_like(parameter))
    return encoder.eval()


def pixels(encoder: Encoder) -> torch.Tensor:
    size = encoder.preprocessing.image_size
    return torch.randint(0, 256, (2, size, size, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    "name",
    [
        "timm", "resnet", "factors", "clip", "clip factors", "clip, other texts", "two towers", "two towers, factors",
    ],
)  # fmt: skip
def test_start_comes_back_without_what_the_configuration_names(
    named: Callable[[str], dict[str, Any]], sources: Path, tmp_path: Path, name: str
):
    values, run = named(name), tmp_path / "run"
    run.mkdir()
    encoder = begun(values)
    texts = encoder.embed_texts(TEXTS) if isinstance(encoder, TextEncoder) else None
    save_initial_encoder(encoder, run)
    shutil.rmtree(sources)
    start = load_initial_encoder(config_of(values), run).eval()
    expected = encoder.merged().eval()
    assert start.preprocessing == encoder.preprocessing
    assert start.state_dict().keys() == expected.state_dict().keys()
    for key, value in start.state_dict().items():
        assert torch.equal(value, expected.state_dict()[key]), key
    assert torch.equal(start.embed_pixels(pixels(start)), expected.embed_pixels(pixels(start)))
    if texts is not None:
        assert isinstance(start, TextEncoder)
        torch.testing.assert_close(start.embed_texts(TEXTS), texts, rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", ["clip factors", "clip, other texts", "two towers", "two towers, factors"])
def test_run_goes_on_without_what_its_configuration_names(
    named: Callable[[str], dict[str, Any]], sources: Path, tmp_path: Path, name: str
):
    values, run = named(name), tmp_path / "run"
    run.mkdir()
    encoder = begun(values)
    save_initial_encoder(encoder, run)
    shutil.rmtree(sources)
    again = build_encoder(saved_encoder_config(config_of(values), run), load=False)
    again.load_state_dict(encoder.state_dict())
    assert torch.equal(again.eval().embed_pixels(pixels(again)), encoder.embed_pixels(pixels(again)))


def test_what_is_kept_lies_where_it_is_told(named: Callable[[str], dict[str, Any]], tmp_path: Path):
    for place, name, expected in (
        ("a", "timm", {"weights.safetensors"}),
        ("b", "two towers", {"weights.safetensors", "text_tower/modules.json"}),
        ("c", "clip, other texts", {"modules.json", "model.safetensors", "text_tower/modules.json"}),
    ):
        (tmp_path / place).mkdir()
        save_initial_encoder(begun(named(name)), tmp_path / place)
        folder = tmp_path / place / "encoder"
        found = {path.relative_to(folder).as_posix() for path in folder.rglob("*")}
        assert expected <= found
        assert len(found) == 1 or name != "timm"


def test_text_model_of_two_towers_is_not_in_its_weights(named: Callable[[str], dict[str, Any]], tmp_path: Path):
    encoder = begun(named("two towers"))
    save_initial_encoder(encoder, tmp_path)
    size = sum(value.numel() * value.element_size() for value in encoder.image.state_dict().values())
    assert size < (tmp_path / "encoder" / "weights.safetensors").stat().st_size < size + 50_000


@pytest.mark.parametrize("name", ["timm", "clip, other texts", "two towers"])
def test_configuration_of_a_run_that_kept_nothing_stays_as_it_is(
    named: Callable[[str], dict[str, Any]], tmp_path: Path, name: str
):
    config = config_of(named(name))
    assert saved_encoder_config(config, tmp_path) == config


@pytest.mark.parametrize(
    ("name", "file"), [("timm", "weights.safetensors"), ("clip", "modules.json"), ("two towers", "weights.safetensors")]
)
def test_start_that_was_not_kept_is_told(named: Callable[[str], dict[str, Any]], tmp_path: Path, name: str, file: str):
    with pytest.raises(CheckpointError) as caught:
        load_initial_encoder(config_of(named(name)), tmp_path)
    assert str(caught.value) == (
        f"{tmp_path / 'encoder' / file}: missing: this run has no copy of its initial weights; train it again"
    )


def test_start_of_another_encoder_is_told(tmp_path: Path):
    save_initial_encoder(begun(TIMM), tmp_path)
    path = tmp_path / "encoder" / "weights.safetensors"
    with pytest.raises(CheckpointError) as caught:
        load_initial_encoder(config_of(RESNET), tmp_path)
    assert str(caught.value).startswith(f"{path}: not the weights of this encoder: ")
    assert "\n" not in str(caught.value)
    path.write_bytes(b"no weights at all")
    with pytest.raises(CheckpointError, match="not the weights of this encoder: "):
        load_initial_encoder(config_of(TIMM), tmp_path)


def test_folder_that_cannot_be_written_is_told(tmp_path: Path):
    (tmp_path / "encoder").touch()
    with pytest.raises(CheckpointError) as caught:
        save_initial_encoder(begun(TIMM), tmp_path)
    assert str(caught.value).startswith(f"{tmp_path / 'encoder'}: cannot be written: ")


@pytest.mark.parametrize(
    ("section", "told"),
    [
        ({"kind": "resnt"}, "manifest.json: encoder.kind: got 'resnt'; allowed: "),
        ({"kind": "pixels", "image_size": "large"}, "manifest.json: encoder.image_size: got 'large'; "),
        ({}, "manifest.json: encoder.kind: missing; "),
    ],
)
def test_section_of_a_bundle_that_describes_no_encoder_is_named(section: dict[str, object], told: str) -> None:
    prepared = build_encoder(PixelsConfig(kind="pixels", image_size=8), load=False).preprocessing
    with pytest.raises(ConfigError) as caught:
        encoder_without_weights(section, prepared)
    assert str(caught.value).startswith(told)

"""ResNets that begin with checkpoints of others: each embeds as its source network does, on images as it had them."""

from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
import torchvision
from pydantic import TypeAdapter
from resnet_states import FORMATS, State, hollow, linear, renamed, source_state
from torch import Tensor

from simtrain.builders.encoder import build_encoder
from simtrain.config import EncoderConfig
from simtrain.encoders.base import Encoder
from simtrain.encoders.resnet_architecture import Architecture
from simtrain.errors import CheckpointError

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
UNIT_RANGE = ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
RESNET = {"kind": "resnet", "model": "resnet50", "image_size": 32}


def build(load: bool = True, **values: Any) -> Encoder:
    config: EncoderConfig = TypeAdapter(EncoderConfig).validate_python(values)
    return build_encoder(config, load=load).eval()


@pytest.fixture(scope="module")
def resnet50() -> State:
    return source_state("resnet50")


@torch.no_grad()
def by_torchvision(state: State, pixels: Tensor, *, mean: tuple[float, ...], std: tuple[float, ...]) -> Tensor:
    network = torchvision.models.resnet50(weights=None).eval()
    network.load_state_dict(state)
    network.fc = torch.nn.Identity()
    images = (pixels.permute(0, 3, 1, 2) / 255 - torch.tensor(mean)[:, None, None]) / torch.tensor(std)[:, None, None]
    return F.normalize(network(images), dim=1)


@pytest.mark.slow
@pytest.mark.parametrize("source", FORMATS)
def test_checkpoints_of_every_origin_embed_as_their_source_network(tmp_path: Path, resnet50: State, source: str):
    torch.save(FORMATS[source](resnet50), tmp_path / "a.ckpt")
    pixels = torch.randint(0, 256, (2, 32, 32, 3), dtype=torch.uint8)
    encoder = build(**RESNET, weights=str(tmp_path / "a.ckpt"))
    mean, std = UNIT_RANGE if source.startswith("google") else IMAGENET
    assert (encoder.preprocessing.mean, encoder.preprocessing.std) == (mean, std)
    expected = by_torchvision(resnet50, pixels, mean=mean, std=std)
    torch.testing.assert_close(encoder.embed_pixels(pixels), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("load", "named", "expected"),
    [
        (True, None, UNIT_RANGE),
        (True, "imagenet", IMAGENET),
        (True, "unit_range", UNIT_RANGE),
        (False, None, IMAGENET),
        (False, "imagenet", IMAGENET),
        (False, "unit_range", UNIT_RANGE),
    ],
)
def test_a_named_normalisation_goes_before_the_file_s(
    tmp_path: Path, resnet50: State, load: bool, named: str | None, expected: Any
):
    path = tmp_path / "a.ckpt"
    if load:
        torch.save(FORMATS["google-simclr-v1"](resnet50), path)
    found = build(load=load, **RESNET, weights=str(path), normalisation=named).preprocessing
    assert (found.mean, found.std) == expected


def test_weights_that_are_matched_by_order_tell_no_normalisation(tmp_path: Path):
    state = source_state("resnet18")
    torch.save({f"t{number}": value for number, value in enumerate(state.values())}, tmp_path / "a.pth")
    encoder = build(kind="resnet", model="resnet18", weights=str(tmp_path / "a.pth"), weights_match="order")
    assert (encoder.preprocessing.mean, encoder.preprocessing.std) == IMAGENET
    assert torch.equal(encoder.network.state_dict()["bn1.bias"], state["bn1.bias"])


@pytest.mark.slow
def test_google_s_wide_networks_are_built_by_their_name(tmp_path: Path):
    state = hollow(Architecture(model="resnet50", width=2))
    torch.save({"state_dict": state}, tmp_path / "a.pth")
    encoder = build(kind="resnet", model="resnet50x2", weights=str(tmp_path / "a.pth"), embedding_size=16)
    assert (encoder.network.conv1.out_channels, tuple(encoder.reduction.weight.shape)) == (128, (16, 4096))
    assert not any(value.any() for value in encoder.network.state_dict().values())
    with pytest.raises(CheckpointError) as caught:
        build(kind="resnet", model="resnet50", weights=str(tmp_path / "a.pth"))
    assert str(caught.value) == (
        f"weights: {tmp_path / 'a.pth'} holds a resnet50x2, and model is resnet50; set model: resnet50x2"
    )


def test_what_has_no_place_in_the_network_is_refused(tmp_path: Path):
    state = renamed(source_state("resnet18"), "backbone.") | linear("decoder.")
    torch.save({"state_dict": state}, tmp_path / "a.ckpt")
    with pytest.raises(CheckpointError, match=r"2 of its tensors have no known purpose, such as 'decoder\.weight'"):
        build(kind="resnet", model="resnet18", weights=str(tmp_path / "a.ckpt"))

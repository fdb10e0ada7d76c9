"""What goes with a frozen encoder, and what does not."""

import re
from typing import Any

import pytest

from simtrain.config import RunConfig, parse_run_config
from simtrain.errors import ConfigError

NETWORK = {"kind": "timm", "model": "test_efficientnet", "weights": "none"}
USUAL: dict[str, Any] = {"catalog": "shop", "encoder": NETWORK, "objective": {"kind": "triplet"}}


def frozen(*, trainer: dict[str, Any] | None = None, **sections: Any) -> RunConfig:
    return parse_run_config({**USUAL, **sections, "trainer": {"freeze_encoder": True, **(trainer or {})}}, where="test")


@pytest.mark.parametrize(
    "sections",
    [
        {},
        {"encoder": {"kind": "resnet"}},
        {"encoder": {"kind": "two_towers", "image": NETWORK}, "objective": {"kind": "image_text"}},
        {"objective": {"kind": "simclr", "positive": "product"}},
        {"objective": {"kind": "simclr"}, "trainer": {"frozen_views": 2}},
        {"trainer": {"devices": 1}},
    ],
)
def test_networks_and_objectives_that_a_frozen_encoder_goes_with(sections: dict[str, Any]) -> None:
    assert frozen(**sections).trainer.freeze_encoder


LEARNS = "is for a network that learns; leave it out with trainer.freeze_encoder: true"


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        (
            {"encoder": {"kind": "clip"}},
            "trainer.freeze_encoder needs encoder.kind: resnet, timm or two_towers; got clip",
        ),
        ({"encoder": {**NETWORK, "lora": {}}}, f"encoder.lora {LEARNS}"),
        ({"objective": {"kind": "triplet", "keep": {"distillation": 1}}}, f"objective.keep.distillation {LEARNS}"),
        ({"trainer": {"head_only_epochs": 1}}, f"trainer.head_only_epochs {LEARNS}"),
        ({"trainer": {"activation_checkpointing": True}}, f"trainer.activation_checkpointing {LEARNS}"),
        ({"trainer": {"compile": True}}, f"trainer.compile {LEARNS}"),
        ({"data": {"micro_batch_size": 8}}, f"data.micro_batch_size {LEARNS}"),
        (
            {"trainer": {"devices": 2}},
            "trainer.devices: 2: a frozen network is trained by one process; set 1",
        ),
        (
            {"objective": {"kind": "simclr"}},
            "trainer.frozen_views 1: 2 views of an image are compared; take 2 or more",
        ),
        (
            {"trainer": {"freeze_encoder": False, "frozen_views": 2}},
            "trainer.frozen_views needs trainer.freeze_encoder: true",
        ),
    ],
)
def test_what_a_frozen_encoder_does_not_go_with_is_told(sections: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)):
        frozen(**sections)

"""Where figures are followed."""

from typing import Any

import pytest

from simtrain.config import parse_run_config


@pytest.mark.parametrize(
    ("given", "expected"), [(True, "offline"), ({"mode": "online"}, "online"), (False, None), (None, None)]
)
def test_weights_and_biases_is_switched_on_by_true(given: Any, expected: str | None) -> None:
    config = parse_run_config(
        {"catalog": "x", "encoder": {"kind": "pixels"}, "objective": {"kind": "simclr"}, "tracking": {"wandb": given}},
        where="test",
    )
    assert (config.tracking.wandb.mode if config.tracking.wandb is not None else None) == expected

"""Whether several processes give the loss, gradients and metrics of one."""

import numpy as np
import pytest

from simtrain.config import parse_run_config
from simtrain.launch.ddp_equivalence import CASES, ObjectiveMeasurement, process_equivalence


def measured(
    *, loss: float = 2.0, gradient: tuple[float, ...] = (3.0, 4.0), recall: float = 0.5
) -> ObjectiveMeasurement:
    return ObjectiveMeasurement(
        loss=loss, gradient=np.array(gradient, dtype=np.float32), metrics={"recall_at_1": recall}
    )


def test_differences_are_relative_to_length_and_loss() -> None:
    found = process_equivalence("x", measured(), measured(loss=2.002, gradient=(3.0, 4.05)))
    assert found.loss == pytest.approx(0.001)
    assert found.gradient == pytest.approx(0.01, rel=1e-5)
    assert found.metrics
    assert not found.equal


@pytest.mark.parametrize(
    ("other", "equal"),
    [
        (measured(), True),
        (measured(loss=2.0 + 1e-6), True),
        (measured(loss=2.0 + 1e-5), False),
        (measured(gradient=(3.0, 4.0001)), False),
        (measured(recall=0.5 + 1e-12), False),
    ],
)
def test_equal_means_within_the_bounds(other: ObjectiveMeasurement, equal: bool) -> None:
    assert process_equivalence("x", measured(), other).equal is equal


def test_every_case_is_an_objective_that_a_run_may_have() -> None:
    for objective in CASES.values():
        config = parse_run_config(
            {"catalog": "x", "encoder": {"kind": "clip"}, "objective": objective, "data": {"batch_size": 16}},
            where="test",
        )
        assert config.objective.kind == objective["kind"]
    assert {objective["kind"] for objective in CASES.values()} >= {"simclr", "triplet"}

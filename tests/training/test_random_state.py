"""Random numbers that are a function of seed and step, and states that are gone on with."""

import numpy as np
import torch

from simtrain.training.random_state import common_random_numbers, random_state, set_random_state


def drawn(seed: int, step: int) -> tuple[float, float]:
    with common_random_numbers(seed, step):
        return float(torch.rand(())), float(np.random.random())


def test_the_numbers_of_a_step_do_not_depend_on_what_was_drawn_before() -> None:
    first = drawn(3, 5)
    torch.rand(7)
    np.random.random(7)
    assert drawn(3, 5) == first


def test_each_seed_and_each_step_has_its_own_numbers() -> None:
    assert len({drawn(seed, step)[0] for seed in range(10) for step in range(10)}) == 100


def test_afterwards_the_numbers_go_on_as_they_would_have() -> None:
    torch.manual_seed(1)
    np.random.seed(1)
    expected = float(torch.rand(())), float(np.random.random())
    torch.manual_seed(1)
    np.random.seed(1)
    drawn(0, 0)
    assert (float(torch.rand(())), float(np.random.random())) == expected


def test_a_state_is_gone_on_with() -> None:
    state = random_state()
    expected = torch.rand(5)
    set_random_state(state)
    assert torch.equal(torch.rand(5), expected)
    assert all(isinstance(value, torch.Tensor) for value in state.values())

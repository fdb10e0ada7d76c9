"""Turns of groups over epochs: as many for each, whatever the epoch they are asked for first."""

# Words: an epoch has S turns of G groups, q·G + R of them.

from collections import Counter
from itertools import islice

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simtrain.data.group_rounds import EqualRounds, random_rounds

many = settings(max_examples=200, deadline=None)
turn_settings = given(
    size=st.integers(1, 30),
    turns=st.integers(1, 100),
    seed=st.integers(0, 2**31 - 1),
    kinds=st.integers(1, 5),
    per_batch=st.integers(1, 8),
)


def epoch_rounds(
    size: int, *, turns: int, seed: int, epoch: int, kinds: int = 1, per_batch: int = 2
) -> list[list[int]]:
    """Of groups numbered from 50, so that a place is not taken for a group, in categories in turn."""
    categories = {50 + place: place % kinds for place in range(size)}
    rounds = EqualRounds(categories=categories, per_batch=per_batch, turns=turns, seed=seed)
    return list(rounds.of_epoch(epoch, np.random.default_rng((seed, epoch))))


@turn_settings
@many
def test_an_epoch_is_its_turns_and_no_round_has_a_group_twice(
    size: int, turns: int, seed: int, kinds: int, per_batch: int
) -> None:
    rounds = epoch_rounds(size, turns=turns, seed=seed, epoch=seed % 50, kinds=kinds, per_batch=per_batch)
    assert sum(map(len, rounds)) == turns
    for one in rounds:
        assert len(set(one)) == len(one)
        assert set(one) <= set(range(50, 50 + size))
    assert sorted(map(len, rounds)) == [turns % size] * bool(turns % size) + [size] * (turns // size)


@turn_settings
@many
def test_after_every_epoch_no_group_has_had_two_turns_more_than_another(
    size: int, turns: int, seed: int, kinds: int, per_batch: int
) -> None:
    had = dict.fromkeys(range(50, 50 + size), 0)
    for epoch in range(25):
        for one in epoch_rounds(size, turns=turns, seed=seed, epoch=epoch, kinds=kinds, per_batch=per_batch):
            for group in one:
                had[group] += 1
        total = turns * (epoch + 1)
        assert set(had.values()) <= {total // size, -(-total // size)}  # its even share, rounded down or up


@pytest.mark.parametrize("turns", [4, 5, 9])
def test_any_two_groups_meet_in_epochs_that_are_shorter_than_a_round(turns: int) -> None:
    met: Counter[frozenset[int]] = Counter()
    for epoch in range(400):
        (one,) = epoch_rounds(10, turns=turns, seed=0, epoch=epoch)
        met.update(frozenset((first, other)) for first in one for other in one if first < other)
    assert len(met) == 45
    even = 400 * turns * (turns - 1) / (10 * 9)  # epochs in which two groups of ten are both among the chosen
    assert min(met.values()) > even / 2
    assert max(met.values()) < even * 2


def test_groups_that_have_one_turn_more_are_of_one_category_where_they_fill_a_batch() -> None:
    for epoch in range(30):  # 3 categories of 4 groups, 12 turns and 4 more
        more, _ = epoch_rounds(12, turns=16, seed=1, epoch=epoch, kinds=3, per_batch=4)
        assert len({group % 3 for group in more}) == 1


def test_random_rounds_are_the_permutations_of_their_generator() -> None:
    reference = np.random.default_rng(3)
    expected = [reference.permutation([7, 8, 9]).tolist() for _ in range(4)]
    assert list(islice(random_rounds(np.array([7, 8, 9]), np.random.default_rng(3)), 4)) == expected

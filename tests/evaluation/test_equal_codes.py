"""Pairs of equal codes, against a loop over all pairs."""

import numpy as np
import pytest

from simtrain.evaluation.equal_codes import CodeOrder


@pytest.mark.parametrize("seed", range(4))
def test_pairs_are_those_of_a_loop(seed: int) -> None:
    generator = np.random.default_rng(seed)
    codes, wanted = generator.integers(-1, 6, 40), generator.integers(-1, 8, 15)
    found = CodeOrder.of(codes).pairs(wanted)
    expected = [
        [place, row] for place, code in enumerate(wanted) for row in range(40) if code != -1 and codes[row] == code
    ]
    assert np.transpose(found).tolist() == expected


def test_no_items_have_no_pairs() -> None:
    positions, rows = CodeOrder.of(np.empty(0, dtype=np.int64)).pairs(np.array([0, -1]))
    assert positions.tolist() == rows.tolist() == []

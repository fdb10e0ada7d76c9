"""Pairs of equal codes, against a loop over all pairs."""

import numpy as np
import pytest

from simtrain.evaluation.equal_codes import CodeOrder, row_codes


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


@pytest.mark.parametrize("columns", [1, 2, 4])
def test_codes_of_rows_are_those_of_unique_rows(columns: int) -> None:
    rows = np.random.default_rng(columns).integers(-1, 3, (200, columns))
    _, expected = np.unique(rows, axis=0, return_inverse=True)
    np.testing.assert_array_equal(row_codes(rows), expected.reshape(-1))


def test_no_rows_have_no_codes() -> None:
    assert row_codes(np.empty((0, 2), dtype=np.int64)).tolist() == []

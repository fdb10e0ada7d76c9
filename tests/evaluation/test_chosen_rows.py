import numpy as np
import pytest
import torch

from simtrain.evaluation.chosen_rows import chosen_rows


@pytest.mark.parametrize("rows", [[0, 1, 2, 3], [2, 3], [3], [3, 2], [0, 2], [1, 1], []])
def test_rows_are_those_of_a_list(rows: list[int]) -> None:
    embeddings = torch.arange(12.0).reshape(4, 3)
    found = chosen_rows(embeddings, np.array(rows, dtype=np.int64))
    assert found.tolist() == [[3.0 * row, 3.0 * row + 1, 3.0 * row + 2] for row in rows]


@pytest.mark.parametrize(("rows", "copied"), [([0, 1, 2, 3], False), ([1, 2], False), ([0, 2], True), ([1, 0], True)])
def test_consecutive_rows_take_no_memory_again(rows: list[int], copied: bool) -> None:
    embeddings = torch.arange(12.0).reshape(4, 3)
    found = chosen_rows(embeddings, np.array(rows, dtype=np.int64))
    assert (found.untyped_storage().data_ptr() != embeddings.untyped_storage().data_ptr()) == copied

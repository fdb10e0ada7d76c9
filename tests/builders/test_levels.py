"""Coarser levels from a configuration, and columns that give nothing to learn."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from small_configs import SIMCLR, TRIPLET, config_of
from tiny_training import catalog_of

from simtrain.builders.levels import build_levels
from simtrain.errors import SimtrainError

SHOP = Path("shop")
COLUMNS: dict[str, Sequence[Any]] = {
    "product": ["a", "a", "b", "b", "c", "c"],
    "label": ["mug", "mug", "mug", "mug", "hat", None],
    "series": ["a1", "a1", "b1", "b1", "c1", "c1"],
    "split": ["train"] * 6,
}


def levels_of(*levels: dict[str, Any], objective: dict[str, Any] = TRIPLET, **columns: Sequence[Any]) -> Any:
    config = config_of({**objective, "levels": list(levels)})
    return build_levels(config, catalog_of(SHOP, **{**COLUMNS, **columns}))


def test_a_level_has_the_numbers_of_its_column() -> None:
    (level,) = levels_of({"column": "label", "weight": 0.4})
    numbers = level.numbers.of(torch.arange(6)).tolist()
    assert len(set(numbers[:4])) == 1
    assert numbers[4] not in (numbers[0], -1)
    assert (numbers[5], level.column, level.weight, level.temperature) == (-1, "label", 0.4, 0.1)


def test_without_levels_there_are_none() -> None:
    assert levels_of() == ()


def test_a_label_free_objective_has_levels_too() -> None:
    (level,) = levels_of({"column": "series"}, objective=SIMCLR)  # two images of each series are positives
    assert level.column == "series"


@pytest.mark.parametrize(
    ("levels", "columns", "message"),
    [
        ([{"column": "lable"}], {}, "no column 'lable'; it has id, path"),
        ([{"column": "product"}], {}, "objective.levels[0].column: 'product' is objective.positive too"),
        ([{"column": "label"}, {"column": "label"}], {}, "objective.levels[1].column: 'label' is named twice"),
        ([{"column": "series"}], {}, "every 'series' has one 'product' each; objective.levels[0].column needs a coars"),
        ([{"column": "label"}], {"label": [None] * 6}, "'label' is empty in split 'train', and objective.levels[0]"),
    ],
)
def test_a_column_that_teaches_nothing_is_refused(
    levels: list[dict[str, Any]], columns: dict[str, Sequence[Any]], message: str
) -> None:
    with pytest.raises(SimtrainError, match=re.escape(message)):
        levels_of(*levels, **columns)


def test_a_column_that_is_learned_already_is_refused() -> None:
    with pytest.raises(SimtrainError, match=re.escape("objective.levels[0].column: 'label' is objective.label_column")):
        levels_of({"column": "label"}, objective={**SIMCLR, "label_weight": 0.5})

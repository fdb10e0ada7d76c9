"""Which epoch of a course of figures is chosen."""

import io
from collections.abc import Sequence

import numpy as np
import pytest
import torch

from simtrain.training.epoch_choice import EpochChoice, EpochFigure
from simtrain.training.product_sums import ProductSums


def products(value: float) -> ProductSums:
    """A mean of one query in each of four products, whose first alone moves."""
    return ProductSums(sums=np.array([[4 * value - 1.5], [0.5], [0.5], [0.5]]), counts=np.ones((4, 1)))


def chosen(
    figures: Sequence[float], *, first_value: float | None = 0.1, tolerance: float = 1.01, known: bool = True
) -> EpochChoice:
    choice = EpochChoice(first_value=first_value, tolerance=tolerance)
    for epoch, value in enumerate(figures, start=1):
        choice.takes(epoch, value, products(value) if known else None)
    return choice


@pytest.mark.parametrize(
    ("figures", "tolerance", "epoch"),
    [
        ([0.4, 0.6, 0.5], 1.01, 3),  # the difference is that of one product: always one standard error
        ([0.4, 0.6, 0.5], 0.99, 2),
        ([0.4, 0.6, 0.5], 0.0, 2),
        ([0.5, 0.5], 0.0, 1),
        ([0.4, 0.5, 0.6], 0.5, 3),
        ([0.6, 0.5, 0.4], 1.01, 3),
    ],
)
def test_the_last_within_the_tolerance_of_the_highest_is_chosen(
    figures: Sequence[float], tolerance: float, epoch: int
) -> None:
    assert chosen(figures, tolerance=tolerance).chosen == EpochFigure(epoch=epoch, value=figures[epoch - 1])


def test_a_clear_fall_is_not_chosen() -> None:
    choice = EpochChoice(first_value=0.1, tolerance=1.0)
    fallen = ProductSums(sums=np.array([[0.4], [0.4], [0.4], [0.4]]), counts=np.ones((4, 1)))
    before = ProductSums(sums=np.array([[0.5], [0.5], [0.5], [0.6]]), counts=np.ones((4, 1)))
    assert choice.takes(1, 0.525, before)
    assert not choice.takes(2, 0.4, fallen)
    assert choice.chosen == choice.highest == EpochFigure(epoch=1, value=0.525)


def test_an_epoch_is_compared_with_the_highest_and_not_with_the_chosen_one() -> None:
    """Else a fall by chance in every epoch would lead down without end."""
    choice = EpochChoice(first_value=0.1, tolerance=1.01)
    courses = [(0.6, (0.6, 0.6, 0.6, 0.6)), (0.55, (0.4, 0.6, 0.6, 0.6)), (0.45, (0.4, 0.4, 0.5, 0.5))]
    taken = [
        choice.takes(epoch, value, ProductSums(sums=np.array(each)[:, None], counts=np.ones((4, 1))))
        for epoch, (value, each) in enumerate(courses, start=1)
    ]
    assert taken == [True, True, False]


def test_only_what_is_above_the_untouched_encoder_counts() -> None:
    assert chosen([0.4, 0.3], first_value=0.5).chosen == EpochFigure(epoch=0, value=0.5)
    assert chosen([0.6, 0.5], first_value=0.5).chosen == EpochFigure(epoch=1, value=0.6)
    assert chosen([0.6, 0.51], first_value=0.5).chosen == EpochFigure(epoch=2, value=0.51)


def test_without_values_by_product_the_highest_is_chosen() -> None:
    assert chosen([0.4, 0.6, 0.59], known=False).chosen == EpochFigure(epoch=2, value=0.6)


def test_what_is_not_a_number_is_not_chosen() -> None:
    assert chosen([0.4, float("nan")]).chosen == EpochFigure(epoch=1, value=0.4)


def test_a_resumed_choice_goes_on() -> None:
    half, file = chosen([0.4, 0.6]), io.BytesIO()
    torch.save(half.state(), file)
    file.seek(0)
    resumed = EpochChoice(first_value=0.1, tolerance=1.01)
    resumed.go_on(torch.load(file, weights_only=True))
    assert resumed.takes(3, 0.5, products(0.5))
    assert (resumed.chosen, resumed.highest) == (EpochFigure(epoch=3, value=0.5), EpochFigure(epoch=2, value=0.6))


def test_a_run_of_an_older_version_goes_on_from_its_best() -> None:
    choice = EpochChoice(first_value=0.1, tolerance=1.0)
    choice.go_on({"best_value": 0.6, "best_epoch": 2})
    assert not choice.takes(3, 0.59, products(0.59))
    assert choice.takes(4, 0.61, products(0.61))


def test_without_validation_the_last_is_chosen() -> None:
    choice = EpochChoice(first_value=None, tolerance=1.0)
    choice.takes_the_last(1)
    choice.takes_the_last(2)
    assert choice.chosen == EpochFigure(epoch=2, value=None)

"""The choice among mixes under a bound on lost text recall."""

from simtrain.interpolation.plot import TradeOffPoint
from simtrain.interpolation.result import best_within


def test_the_best_within_the_bound_is_chosen():
    points = [
        TradeOffPoint(alpha=alpha, gain=gain, loss=loss)
        for alpha, gain, loss in [(0, 0, 0), (0.25, 2, -1), (0.5, 4, 1), (0.75, 5, 1.01), (1, 9, 7)]
    ]
    assert [best_within(points, bound=bound) for bound in (0.0, 1.0, 1.01, 6.9, 7.0)] == [1, 2, 3, 3, 4]


def test_a_loss_of_the_bound_itself_is_within_it_however_it_is_rounded():
    points = [TradeOffPoint(alpha=0, gain=0, loss=0), TradeOffPoint(alpha=1, gain=1, loss=100 * (0.81 - 0.8))]
    assert points[1].loss > 1
    assert best_within(points, bound=1.0) == 1


def test_of_equal_mixes_the_smaller_alpha_is_chosen():
    points = [TradeOffPoint(alpha=alpha / 3, gain=gain, loss=0.0) for alpha, gain in enumerate([0, 2, 2 + 1e-13, 1])]
    assert best_within(points, bound=1.0) == 1


def test_without_texts_the_best_image_figure_is_chosen():
    points = [TradeOffPoint(alpha=alpha / 2, gain=gain, loss=None) for alpha, gain in enumerate([0, 3, 2])]
    assert best_within(points, bound=0.0) == 1

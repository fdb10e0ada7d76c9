"""The picture of gain against loss."""

import io
from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from simtrain.interpolation.plot import TradeOffPoint, tradeoff_picture

GAINS, LOSSES = (0.0, 1.0, 3.0, 4.0, 4.0), (0.0, -0.5, 0.3, 0.9, 2.0)


def picture(losses: Sequence[float | None], *, chosen: int = 3, bound: float = 1.0) -> NDArray[np.int64]:
    """(H, W, 3) as drawn."""
    points = [
        TradeOffPoint(alpha=place / 4, gain=gain, loss=loss)
        for place, (gain, loss) in enumerate(zip(GAINS, losses, strict=True))
    ]
    words = None if losses[0] is None else "text_to_image_recall_at_5"
    drawn = tradeoff_picture(points, chosen=chosen, bound=bound, metric="map_at_r", text_metric=words)
    opened = Image.open(io.BytesIO(drawn))
    assert opened.format == "PNG"
    return np.asarray(opened.convert("RGB")).astype(np.int64)


def middle_of_ring(drawn: NDArray[np.int64]) -> NDArray[np.float64]:
    """Row and column of the darkest green within what is drawn, above the label of the bound."""
    strong = (drawn[..., 1] - drawn[..., 0] > 80) & (drawn[..., 1] - drawn[..., 2] > 60)
    return np.argwhere(strong).mean(axis=0)


@pytest.mark.parametrize("losses", [LOSSES, (None,) * 5])
def test_mixes_are_joined_by_a_line(losses: Sequence[float | None]) -> None:
    drawn = picture(losses)
    blue = (drawn[..., 2] - drawn[..., 0] > 100) & (drawn[..., 1] < 150)
    rows, columns = np.nonzero(blue)
    assert np.unique(columns).size > 0.98 * np.ptp(columns)  # the ring covers a few
    assert np.ptp(columns) > drawn.shape[1] / 2
    assert np.ptp(rows) > drawn.shape[0] / 2


def test_the_chosen_one_is_marked() -> None:
    places = [middle_of_ring(picture((None,) * 5, chosen=chosen)) for chosen in range(5)]
    columns = [place[1] for place in places]
    np.testing.assert_allclose(np.diff(columns), np.diff(columns)[0], atol=2)
    assert columns == sorted(columns)
    assert places[0][0] > places[1][0] > places[2][0] > places[3][0]


def test_what_is_within_the_bound_is_tinted() -> None:
    tinted = [(picture(LOSSES, bound=bound) == (234, 245, 236)).all(axis=2).sum() for bound in (0.0, 1.0, 2.0)]
    assert 0 < tinted[0] < tinted[1] < tinted[2]


def test_a_bound_far_off_does_not_shrink_the_rest() -> None:
    near, far = (picture(LOSSES, bound=bound) for bound in (2.0, 99.0))
    blue = [np.ptp(np.nonzero(drawn[..., 2] - drawn[..., 0] > 150)[1]) for drawn in (near, far)]
    assert blue[0] == pytest.approx(blue[1], abs=2)


def test_mixes_that_are_alike_can_be_drawn() -> None:
    points = [TradeOffPoint(alpha=place / 10, gain=0.0, loss=0.0) for place in range(11)]
    drawn = tradeoff_picture(points, chosen=0, bound=0.0, metric="mrr", text_metric="text_to_image_map_at_r")
    assert Image.open(io.BytesIO(drawn)).size == (1080, 690)

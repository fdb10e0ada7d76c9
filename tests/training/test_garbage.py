"""Objects that the collector of garbage leaves alone during a training."""

import gc
import weakref
from collections.abc import Iterator

import pytest

from simtrain.training.garbage import settled_objects


class Cycle:
    def __init__(self) -> None:
        self.self = self


@pytest.fixture(autouse=True)
def nothing_frozen() -> Iterator[None]:
    """The tests freeze what they have collected."""
    gc.unfreeze()
    yield
    gc.freeze()


def test_what_was_there_is_left_alone_and_what_is_made_is_not() -> None:
    before = Cycle()
    kept = weakref.ref(before)
    with settled_objects():
        assert gc.get_freeze_count() > 1000
        del before
        within = weakref.ref(Cycle())
        gc.collect()
        assert kept() is not None
        assert within() is None
    assert gc.get_freeze_count() == 0
    gc.collect()
    assert kept() is None


def test_what_somebody_else_froze_stays_frozen() -> None:
    gc.freeze()
    with settled_objects():
        pass
    assert gc.get_freeze_count() > 0

"""What callbacks read off a module."""

from types import SimpleNamespace
from typing import Any, cast

from simtrain.training.tracking.watched_module import last_step, last_worst_queries


def test_the_last_step_is_the_module_s() -> None:
    module = cast(Any, SimpleNamespace(last_step="a step", validation_outcome=("worst", "second")))
    assert last_step(module) == "a step"
    assert last_worst_queries(module) == ["worst", "second"]


def test_other_processes_have_no_queries() -> None:
    assert last_worst_queries(cast(Any, SimpleNamespace(validation_outcome=None))) == []

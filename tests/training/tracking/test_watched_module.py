"""What callbacks read off a module."""

from types import SimpleNamespace
from typing import Any, cast

from simtrain.training.tracking.watched_module import last_monitored, last_step, last_worst_queries


def test_everything_is_the_module_s() -> None:
    module = cast(Any, SimpleNamespace(last_step="a step", monitored="sums", worst_queries=("worst", "second")))
    assert last_step(module) == "a step"
    assert last_monitored(module) == "sums"
    assert last_worst_queries(module) == ["worst", "second"]


def test_other_processes_have_no_queries() -> None:
    assert last_worst_queries(cast(Any, SimpleNamespace(worst_queries=None))) == []

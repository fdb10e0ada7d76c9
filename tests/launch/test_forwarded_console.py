"""Console output of a launched process: what is sent is what is shown."""

import pickle
from collections.abc import Iterable, Iterator
from typing import Any

import pytest
import rank_workflows
from recording_console import RecordingConsole
from typing_extensions import override

from simtrain.console import Console, Item, Step
from simtrain.launch.forwarded_console import ConsoleReceiver, ForwardedConsole
from simtrain.launch.processes import run_on_each

STEP = Step(epoch=1, epochs=None, batch=1, batches=2, images_per_second=3.5)


def forwarded(console: Console) -> tuple[ForwardedConsole, ConsoleReceiver]:
    """Both ends, and between them a pipe that pickles as a real one does."""
    receiver = ConsoleReceiver(console)

    def send(call: tuple[str, Any]) -> None:
        receiver.take(*pickle.loads(pickle.dumps(call)))

    return ForwardedConsole(send), receiver


class NotedBars(Console):
    """Notes the moments of each bar."""

    def __init__(self) -> None:
        self.moments: list[str] = []

    @override
    def bar(self, items: Iterable[Item], total: int, description: str) -> Iterator[Item]:
        self.moments.append(f"{description} begins")
        try:
            for number, item in enumerate(items, start=1):
                self.moments.append(f"{description} {number}/{total}")
                yield item
            self.moments.append(f"{description} is done")
        finally:
            self.moments.append(f"{description} is gone")


def test_lines_asides_and_steps_arrive() -> None:
    shown = RecordingConsole()
    sender, _ = forwarded(shown)
    sender.line("a")
    sender.aside("b")
    sender.step(STEP)
    assert (shown.lines, shown.asides, shown.steps) == (["a"], ["b"], [STEP])


def test_a_bar_passes_the_same_items_on_and_shows_the_same_moments() -> None:
    direct, shown = NotedBars(), NotedBars()
    sender, _ = forwarded(shown)
    items = [object(), object(), object()]
    assert list(sender.bar(iter(items), 3, "reading")) == items
    assert list(direct.bar(iter(items), 3, "reading")) == items
    assert shown.moments == direct.moments
    assert len(shown.moments) == 6


def test_an_item_is_shown_before_it_is_worked_on() -> None:
    shown = NotedBars()
    sender, _ = forwarded(shown)
    for _item in sender.bar("ab", 2, "reading"):
        shown.moments.append("work")
    assert shown.moments[1:5] == ["reading 1/2", "work", "reading 2/2", "work"]


def test_a_bar_within_a_bar() -> None:
    shown = RecordingConsole()
    sender, _ = forwarded(shown)
    for _item in sender.bar("ab", 2, "outer"):
        list(sender.bar("xyz", 3, "inner"))
    assert shown.bars == [("outer", 2, 2), ("inner", 3, 3), ("inner", 3, 3)]


def test_two_bars_in_turns() -> None:
    shown = RecordingConsole()
    sender, _ = forwarded(shown)
    first, second = iter(sender.bar("abc", 3, "first")), iter(sender.bar("xyz", 3, "second"))
    assert [next(first), next(second), next(first), list(second), list(first)] == ["a", "x", "b", ["y", "z"], ["c"]]
    assert shown.bars == [("first", 3, 3), ("second", 3, 3)]


def test_a_bar_that_is_left_early_is_taken_away() -> None:
    shown = NotedBars()
    sender, _ = forwarded(shown)
    bar = iter(sender.bar("abc", 3, "reading"))
    next(bar)
    bar.close()
    assert shown.moments[-1] == "reading is gone"


def test_bars_of_a_process_that_died_are_taken_away() -> None:
    shown = NotedBars()
    receiver = ConsoleReceiver(shown)
    receiver.take("bar", (0, 3, "reading"))
    receiver.take("passed", 0)
    receiver.close()
    assert shown.moments == ["reading begins", "reading 1/3", "reading is gone"]


def test_a_bar_on_a_silent_console() -> None:
    sender, receiver = forwarded(Console())
    assert list(sender.bar("abc", 3, "reading")) == ["a", "b", "c"]
    receiver.close()


def test_a_kind_that_no_console_shows_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^kind: 'result' is nothing that a console shows$"):
        ConsoleReceiver(Console()).take("result", None)


@pytest.mark.slow
@pytest.mark.usefixtures("preloaded_processes")
def test_the_first_of_two_processes_shows_and_the_other_is_silent() -> None:
    shown = RecordingConsole()
    assert run_on_each(2, rank_workflows.shown, console=shown) == 0
    assert (shown.lines, shown.asides) == (["line of process 0"], ["aside of process 0"])
    assert shown.bars == [("counting of process 0", 3, 3)]
    assert [step.batch for step in shown.steps] == [1]

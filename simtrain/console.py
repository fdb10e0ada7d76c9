"""Console output of long work: lines, progress bars and training progress; silent unless a terminal is given."""

import re
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from typing_extensions import override

if TYPE_CHECKING:
    from rich.progress import Progress

Item = TypeVar("Item")

_STEERING = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
_SECONDS_BETWEEN_LINES = 10.0  # of a bar where there is no terminal


@dataclass(frozen=True, kw_only=True)
class Step:
    """How far a run is after a training batch.

    Attributes:
        epoch: Number of the epoch, from 1.
        epochs: Number of epochs of the run; None: not known.
        batch: Number of the batch within the epoch, from 1.
        batches: Number of batches of an epoch.
        images_per_second: Training speed in this epoch, validation left out.
    """

    epoch: int
    epochs: int | None
    batch: int
    batches: int
    images_per_second: float


class Console:
    """What long work reports to; this one shows nothing. Subclasses override what they show."""

    def line(self, text: str) -> None:
        """Show a line of the result: standard output."""

    def aside(self, text: str) -> None:
        """Show a line that is no part of the result: standard error."""

    def bar(self, items: Iterable[Item], total: int, description: str) -> Iterable[Item]:
        """Pass items on, and show how many have gone by.

        Args:
            items: Passed on unchanged, in their order.
            total: Number of items.
            description: Work in progress, such as "reading images".

        Returns:
            The same items.
        """
        return items

    def step(self, step: Step) -> None:
        """Show how far training is; called after each training batch."""


def visible(text: str) -> str:
    """The text with what would steer a terminal or turn the writing around as escapes; line breaks and tabs stay."""
    return _STEERING.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


SILENT = Console()
"""Shows nothing."""


class NamedConsole(Console):
    """Another console, whose bars begin with the name of what the work is for.

    Args:
        console: Shows everything.
        name: Before each bar's description.
    """

    def __init__(self, console: Console, *, name: str) -> None:
        self._console = console
        self._name = name

    @override
    def line(self, text: str) -> None:
        self._console.line(text)

    @override
    def aside(self, text: str) -> None:
        self._console.aside(text)

    @override
    def bar(self, items: Iterable[Item], total: int, description: str) -> Iterable[Item]:
        return self._console.bar(items, total, f"{self._name}: {description}")

    @override
    def step(self, step: Step) -> None:
        self._console.step(step)


class TerminalConsole(Console):
    """Standard output and standard error.

    Bars are drawn where standard error is a terminal. Elsewhere a bar is a line every 10 seconds, and training shows no
    steps. The bar of a training epoch is taken away before a line is shown.
    """

    def __init__(self) -> None:
        self._training_bar: Progress | None = None

    @override
    def line(self, text: str) -> None:
        self.close()
        print(visible(text), flush=True)

    @override
    def aside(self, text: str) -> None:
        self.close()
        print(visible(text), file=sys.stderr, flush=True)

    @override
    def bar(self, items: Iterable[Item], total: int, description: str) -> Iterable[Item]:
        if not sys.stderr.isatty():
            return self._counted(items, total, description)
        from rich.console import Console as RichConsole
        from rich.progress import track

        shown_on = RichConsole(stderr=True)
        return track(items, description=description, total=total, console=shown_on, transient=True)

    @override
    def step(self, step: Step) -> None:
        if not sys.stderr.isatty():
            return
        if self._training_bar is None:
            self._training_bar = _epoch_bar()
            self._training_bar.start()
        text = f"epoch {step.epoch}/{step.epochs} {step.images_per_second:.0f} images/s"
        task = self._training_bar.task_ids[0]
        self._training_bar.update(task, description=text, completed=step.batch, total=step.batches)

    def close(self) -> None:
        """Take the bar of a training epoch away."""
        if self._training_bar is not None:
            self._training_bar.stop()
            self._training_bar = None

    def _counted(self, items: Iterable[Item], total: int, description: str) -> Iterable[Item]:
        shown = time.monotonic()
        for done, item in enumerate(items, start=1):
            yield item
            if time.monotonic() - shown > _SECONDS_BETWEEN_LINES:
                shown = time.monotonic()
                self.aside(f"{description}: {done}/{total}")


TERMINAL = TerminalConsole()
"""The terminal of this process: one, so that a line takes away the training bar whoever shows it."""


def _epoch_bar() -> "Progress":
    from rich.console import Console as RichConsole
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    bar = Progress(*columns, console=RichConsole(stderr=True), transient=True)
    bar.add_task("")
    return bar

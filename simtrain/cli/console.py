"""What the command line shows: lines, bars, tables, errors."""

import re
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, NoReturn, TypeVar

from simtrain.errors import SimtrainError

if TYPE_CHECKING:
    from rich.progress import Progress as Bar

    from simtrain.catalog.progress import Progress
    from simtrain.training.epoch_table import Step

Item = TypeVar("Item")


def say(line: str) -> None:
    """A line on standard output, at once."""
    print(line, flush=True)


def say_aside(line: str) -> None:
    """A line on standard error."""
    print(line, file=sys.stderr, flush=True)


def fail(message: str) -> NoReturn:
    """A line on standard error and exit status 2."""
    say_aside(f"error: {message}")
    sys.exit(2)


def message_of(error: SimtrainError) -> str:
    """The message itself: a loading process sends its whole traceback, with the message at its end."""
    text = str(error)
    return re.split(r"\nsimtrain\.errors\.\w+: ", text)[-1].strip() if text.startswith("Caught ") else text


def progress() -> "Progress":
    """A bar on a terminal, a line every few seconds elsewhere."""
    return _bar if sys.stderr.isatty() else _lines


class TrainingBar:
    """The batches of an epoch on a terminal; nothing elsewhere. Lines go above it, or stand alone."""

    def __init__(self) -> None:
        self._bar: Bar | None = None

    def say(self, line: str) -> None:
        """A line on standard output, after taking the bar away."""
        self.close()
        say(line)

    def step(self, step: "Step") -> None:
        """Show how far the epoch is."""
        if not sys.stderr.isatty():
            return
        if self._bar is None:
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

            columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
            self._bar = Progress(*columns, console=Console(stderr=True), transient=True)
            self._bar.add_task("")
            self._bar.start()
        text = f"epoch {step.epoch}/{step.epochs} {step.images_per_second:.0f} images/s"
        self._bar.update(self._bar.task_ids[0], description=text, completed=step.batch, total=step.batches)

    def close(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None


def _bar(items: Iterable[Item], total: int, description: str, /) -> Iterable[Item]:
    from rich.console import Console
    from rich.progress import track

    return track(items, description=description, total=total, console=Console(stderr=True), transient=True)


def _lines(items: Iterable[Item], total: int, description: str, /) -> Iterable[Item]:
    import time

    told = time.monotonic()
    for done, item in enumerate(items, start=1):
        yield item
        if time.monotonic() - told > 10:
            told = time.monotonic()
            say_aside(f"{description}: {done}/{total}")

"""Console output of a launched process, sent to the process that launched it and shown there."""

from collections.abc import Callable, Generator, Iterable, Iterator
from itertools import count, repeat
from typing import Any

from typing_extensions import override

from simtrain.console import Console, Item, Step

Send = Callable[[tuple[str, Any]], None]


class ForwardedConsole(Console):
    """Sends every call on, as a kind and a value that `ConsoleReceiver` takes.

    Args:
        send: Sends a pair to the other process; both have to be picklable.
    """

    def __init__(self, send: Send) -> None:
        self._send = send
        self._numbers = count()

    @override
    def line(self, text: str) -> None:
        self._send(("line", text))

    @override
    def aside(self, text: str) -> None:
        self._send(("aside", text))

    @override
    def bar(self, items: Iterable[Item], total: int, description: str) -> Iterable[Item]:
        number = next(self._numbers)
        self._send(("bar", (number, total, description)))
        try:
            for item in items:
                self._send(("passed", number))
                yield item
        finally:
            self._send(("ended", number))

    @override
    def step(self, step: Step) -> None:
        self._send(("step", step))


class ConsoleReceiver:
    """Shows what a `ForwardedConsole` sends.

    Args:
        console: Shows it.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._bars: dict[int, Iterator[None]] = {}

    def take(self, kind: str, value: Any) -> None:
        """Show one call.

        Args:
            kind: `line`, `aside`, `step`, or of a bar: `bar` for its start, `passed` for each item, `ended`.
            value: The line; the `Step`; number, total and description of a new bar; else the number of the bar.
        """
        match kind:
            case "line":
                self._console.line(value)
            case "aside":
                self._console.aside(value)
            case "step":
                self._console.step(value)
            case "bar":
                number, total, description = value
                self._bars[number] = iter(self._console.bar(repeat(None, total), total, description))
            case "passed":
                next(self._bars[value], None)
            case "ended":
                next(self._bars[value], None)  # what is shown after the last item
                self._end(self._bars.pop(value))
            case _:
                raise ValueError(f"kind: {kind!r} is nothing that a console shows")

    def close(self) -> None:
        """Take away the bars of a process that ended in the middle of them."""
        while self._bars:
            self._end(self._bars.popitem()[1])

    @staticmethod
    def _end(bar: Iterator[None]) -> None:
        if isinstance(bar, Generator):
            bar.close()

"""A console that keeps what it is shown, so that a test can look at it or act on it as it comes."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from typing_extensions import override

from simtrain.console import Console, Item, Step

Hook = Callable[[Any], None]


class RecordingConsole(Console):
    """Keeps lines, asides, steps and bars; `on_…` is called with each line, description of a bar, number of an item
    within its bar (from 1) or step, and may raise.
    """

    def __init__(
        self,
        *,
        on_line: Hook | None = None,
        on_bar: Hook | None = None,
        on_item: Hook | None = None,
        on_step: Hook | None = None,
    ) -> None:
        self.lines: list[str] = []
        self.asides: list[str] = []
        self.steps: list[Step] = []
        self.descriptions: list[str] = []
        self.totals: list[int] = []
        self.passed: list[int] = []
        self._on_line, self._on_bar, self._on_item, self._on_step = on_line, on_bar, on_item, on_step

    @property
    def bars(self) -> list[tuple[str, int, int]]:
        """Description, total and how many items have passed, of each bar."""
        return list(zip(self.descriptions, self.totals, self.passed, strict=True))

    @override
    def line(self, text: str) -> None:
        self.lines.append(text)
        if self._on_line is not None:
            self._on_line(text)

    @override
    def aside(self, text: str) -> None:
        self.asides.append(text)

    @override
    def bar(self, items: Iterable[Item], total: int, description: str) -> Iterable[Item]:
        self.descriptions.append(description)
        self.totals.append(total)
        self.passed.append(0)
        if self._on_bar is not None:
            self._on_bar(description)
        return self._pass_on(items, len(self.passed) - 1)

    @override
    def step(self, step: Step) -> None:
        self.steps.append(step)
        if self._on_step is not None:
            self._on_step(step)

    def _pass_on(self, items: Iterable[Item], place: int) -> Iterator[Item]:
        for item in items:
            self.passed[place] += 1
            if self._on_item is not None:
                self._on_item(self.passed[place])
            yield item

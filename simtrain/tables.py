"""Tables of text: columns of a name and an alignment, rows of cells."""

import io
import sys
from collections.abc import Iterable, Sequence
from typing import Literal

Alignment = Literal["left", "right"]

_WIDTH = 120
"""Columns of text where standard output is no terminal."""


def text_table(columns: Sequence[tuple[str, Alignment]], rows: Iterable[Sequence[str]]) -> str:
    """A table as lines of text, as wide as the terminal, or 120 characters where there is none.

    Args:
        columns: Name and alignment of each column.
        rows: One cell for each column; brackets in a cell are text, not markup. Long cells are folded, those of the
            first column, which are names to be typed, only where one takes more than half of the width.

    Returns:
        Lines without a line break at the end.
    """
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    page = io.StringIO()
    console = Console(file=page, width=None if sys.stdout.isatty() else _WIDTH, soft_wrap=False, color_system=None)
    rows = list(rows)
    longest = max((len(row[0]) for row in rows), default=0)
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for place, (name, alignment) in enumerate(columns):
        whole = place == 0 and 2 * longest <= console.width
        table.add_column(name, justify=alignment, overflow="fold", no_wrap=whole)
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    console.print(table)
    return page.getvalue().rstrip("\n")

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
        rows: One cell for each column; brackets in a cell are text, not markup. Long cells are folded.

    Returns:
        Lines without a line break at the end.
    """
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for name, alignment in columns:
        table.add_column(name, justify=alignment, overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    page = io.StringIO()
    width = None if sys.stdout.isatty() else _WIDTH
    Console(file=page, width=width, soft_wrap=False, color_system=None).print(table)
    return page.getvalue().rstrip("\n")

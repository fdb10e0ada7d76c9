"""`steps.csv`: a row for each step whose figures were taken."""

import csv
import io
from collections.abc import Mapping
from pathlib import Path

from simtrain.errors import CheckpointError
from simtrain.failures import damage_told
from simtrain.files import write_whole

STEPS_FILE = "steps.csv"
_DIGITS = 18


class StepTable:
    """Grows by whole lines, so that a kill costs at most the line being written.

    Args:
        path: The file; it need not exist.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._columns: list[str] = []

    def resume_from(self, step: int) -> None:
        """Drop the rows of later steps: they are about to be written again."""
        rows = [row for row in read_steps(self._path) if int(row["step"]) <= step]
        self._columns = list(rows[0]) if rows else []
        if rows:
            self._write(rows)
        else:
            self._path.unlink(missing_ok=True)

    def append(self, row: Mapping[str, float]) -> None:
        """Add a row; `step` is among its figures. Figures that no row had before become columns."""
        texts = {name: f"{value:.6g}" if isinstance(value, float) else str(value) for name, value in row.items()}
        fresh = [name for name in texts if name not in self._columns]
        if fresh:
            self._columns += fresh
            self._write([*read_steps(self._path), texts])
        else:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(_lines(self._columns, [texts], header=False))

    def _write(self, rows: list[dict[str, str]]) -> None:
        write_whole(self._path, _lines(self._columns, rows, header=True).encode())


def read_steps(path: Path) -> list[dict[str, str]]:
    """The whole rows of a `steps.csv`; none where there is no file.

    Raises:
        CheckpointError: if it is damaged.
    """
    if not path.exists():
        return []
    with damage_told(path, error=CheckpointError, advice="; move it away to go on without the figures so far"):
        text = path.read_text(encoding="utf-8")
        whole = text[: text.rfind("\n") + 1]
        rows = list(csv.DictReader(io.StringIO(whole), strict=True))
        check_rows(rows, number="step")
    return rows


def check_rows(rows: list[dict[str, str]], *, number: str) -> None:
    """Refuse rows of another table than a run writes.

    Args:
        rows: As `csv.DictReader` gives them.
        number: The column that numbers them.

    Raises:
        ValueError: naming the first line that is wrong.
    """
    for line, row in enumerate(rows, start=2):
        whole = None not in row and None not in row.values()
        if not whole or not row.get(number, "").isdecimal() or len(row[number]) > _DIGITS:
            raise ValueError(f"line {line} is no row with a number in the column {number}")


def _lines(columns: list[str], rows: list[dict[str, str]], *, header: bool) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    if header:
        writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()

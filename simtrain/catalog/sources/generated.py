"""Generated source folders: drawn, downloaded or unpacked into `source` beside the catalogue."""

import json
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from simtrain.catalog.staging import MADE_FOLDER
from simtrain.errors import CatalogError

MARKER_FILE = ".made-from.json"
_TIME = 946_684_800  # 2000-01-01: equal files get equal stats, whenever they are made


@dataclass(frozen=True, kw_only=True)
class Making:
    """Makes a generated source folder, unless it is already made.

    Attributes:
        work: Work folder that holds an unfinished source folder.
        output: The catalogue's folder, which the finished source folder is moved to.
    """

    work: Path
    output: Path

    def folder(self, made_from: dict[str, Any], make: Callable[[Path], None]) -> Path:
        """The folder as `make` fills it: the catalogue's own if it was made from the same, else a new one in `work`.

        Args:
            made_from: What decides its content, as plain values for JSON.
            make: Fills the folder that it is given.
        """
        if is_made_from(self.output / MADE_FOLDER, made_from):
            return self.output / MADE_FOLDER
        _refuse_foreign(self.output / MADE_FOLDER)
        folder = self.work / MADE_FOLDER
        if not is_made_from(folder, made_from):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            make(folder)
            _settle_times(folder)
            (folder / MARKER_FILE).write_text(json.dumps(made_from, sort_keys=True), encoding="utf-8")
        return folder


def made_from_what(folder: Path) -> dict[str, Any] | None:
    """What a folder was made from; None if it was not made here."""
    try:
        note: dict[str, Any] = json.loads((folder / MARKER_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return note


def is_made_from(folder: Path, made_from: dict[str, Any]) -> bool:
    """Whether a folder was made here, from just this."""
    return made_from_what(folder) == made_from


def _refuse_foreign(folder: Path) -> None:
    if folder.exists() and made_from_what(folder) is None:
        raise CatalogError(
            f"{folder}: is not of simtrain's making and would be replaced; take another folder for --out"
        )


def stats_of(files: Sequence[Path]) -> list[list[str | int]]:
    """Path, size and time of change of each file: what tells that inputs are what they were."""
    found = [(file, file.stat()) for file in files]
    return [[str(file.resolve()), stat.st_size, stat.st_mtime_ns] for file, stat in found]


def _settle_times(folder: Path) -> None:
    for here, _, names in os.walk(folder):
        for name in names:
            os.utime(Path(here, name), (_TIME, _TIME))

"""What was given where something else is expected: a run for a bundle, a bundle for a catalogue, and so on."""

import re
from contextlib import suppress
from pathlib import Path
from shlex import quote
from typing import Literal

Kind = Literal["catalogue", "run", "bundle", "configuration", "source"]

_CHECKPOINTS = Path("checkpoints")
_MARKS: dict[Kind, str] = {"catalogue": "catalog.parquet", "run": "config.yaml", "bundle": "manifest.json"}
_NAMES: dict[Kind, str] = {
    "catalogue": "a catalogue",
    "run": "a run",
    "bundle": "a bundle",
    "configuration": "a configuration file",
    "source": "a folder or table of pictures",
}
_ADVICE: dict[tuple[Kind, Kind], str] = {
    ("catalogue", "run"): "train one with: simtrain init {given}",
    ("catalogue", "bundle"): "make one with: simtrain export RUN --catalog {given} --out bundles/{name}",
    ("catalogue", "configuration"): "write one with: simtrain init {given}",
    ("catalogue", "source"): "write a configuration for it with: simtrain init {given}",
    ("run", "bundle"): "make one with: simtrain export {given} --out bundles/{name}",
    ("run", "configuration"): "go on with it: simtrain fit --resume {given}",
    ("run", "catalogue"): "its catalogue: {catalog}",
    ("configuration", "run"): "make one with: simtrain fit {given}",
    ("configuration", "catalogue"): "its catalogue: {catalog}",
}
_CATALOG_KEY = re.compile(r"^catalog:\s*(\S.*?)\s*(?:#.*)?$", re.MULTILINE)
_LARGEST_READ = 1 << 16  # characters


def mistaken(given: str | Path, *, expected: Kind) -> str | None:
    """A line for the user who gave a thing of another kind, with what helps; None: it is none that is known.

    Args:
        given: A path, or the name of a run below `checkpoints`.
        expected: What is expected there.
    """
    found = _kind_of(Path(given))
    if found is None or found[0] == expected:
        return None
    kind, path = found
    line = f"{given}: is {_NAMES[kind]}, not {_NAMES[expected]}"
    advice = _ADVICE.get((kind, expected))
    if advice is None:
        return line
    catalog = _catalog_of(path) if "{catalog}" in advice else ""
    if catalog is None:
        return line
    return f"{line}; " + advice.format(given=quote(str(given)), name=Path(given).name or "NAME", catalog=catalog)


def _kind_of(path: Path) -> tuple[Kind, Path] | None:
    """The kind of a thing, and the file that says so; a file or folder of its own comes before a run of this name."""
    with suppress(OSError, ValueError):
        if path.is_file():
            return ("configuration", path) if path.suffix in (".yaml", ".yml") else None
        for folder in (path, _CHECKPOINTS / path):
            for kind, mark in _MARKS.items():
                if (folder / mark).is_file():
                    return kind, folder / mark
            if folder.exists():
                return None
    return None


def _catalog_of(path: Path) -> str | None:
    with suppress(OSError, UnicodeDecodeError), path.open(encoding="utf-8") as file:
        if found := _CATALOG_KEY.search(file.read(_LARGEST_READ)):
            return found[1]
    return None

"""Settings that a catalogue was prepared with: kept by the next call of `prepare` over the same source."""

from pathlib import Path
from typing import Any

from simtrain.catalog.sources.opened import expanded
from simtrain.catalog.store.layout import read_record
from simtrain.config import PrepareConfig


def last_settings(source: str, out: Path) -> dict[str, Any]:
    """What the catalogue in `out` was prepared with besides the defaults, as a configuration's tree.

    Empty without a catalogue there, for one of another source, and where its record cannot be read.

    Args:
        source: Source of the call, as the user named it.
        out: Folder of the catalogue.
    """
    record = read_record(expanded(str(out)), columns=["path"])
    if record is None or record.origin.get("source") not in (source, _place(source)):
        return {}
    settings, root = record.origin.get("settings"), record.origin.get("root_setting")
    if not isinstance(settings, dict):
        return {}
    changed = _differing(settings, PrepareConfig().model_dump(mode="json"))
    return {**changed, **({"root": root} if isinstance(root, str) else {})}


def flat_settings(tree: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """A tree of settings as `section.key` -> value."""
    found: dict[str, Any] = {}
    for name, value in tree.items():
        found |= flat_settings(value, f"{prefix}{name}.") if isinstance(value, dict) else {f"{prefix}{name}": value}
    return found


def _place(source: str) -> str:
    path = expanded(source)
    return str(path.resolve()) if path.exists() else source


def _differing(tree: dict[str, Any], default: dict[str, Any]) -> dict[str, Any]:
    """The values of a tree that are not the default's; a section that the default does not have, whole."""
    found = {}
    for name, value in tree.items():
        own = default.get(name)
        if isinstance(value, dict) and isinstance(own, dict):
            inner = _differing(value, own)
            if inner:
                found[name] = inner
        elif value != own:
            found[name] = value
    return found

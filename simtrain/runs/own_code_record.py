"""Record of the user's own code that a run was trained with, in `run.json` and in a bundle's manifest."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from simtrain.config import NamedCode, RunConfig
from simtrain.files import sha256_if_readable
from simtrain.own_code import code_record

KEY = "code"
"""In a run's record."""


def code_of_run(config: RunConfig) -> dict[str, Any]:
    """What a run's record says of the code that its configuration names, once it is imported; empty without."""
    named = {name: code for name in ("encoder", "objective") if (code := code_of_section(getattr(config, name)))}
    return {KEY: named} if named else {}


def code_of_section(section: object) -> dict[str, Any] | None:
    """Which code a section names: path, arguments, the module file's SHA-256, package and version; None: none."""
    if not isinstance(section, NamedCode):
        return None
    return {**code_record(section.target, section.parameters), "instance": section.instance}


def changed_code(record: Mapping[str, Any]) -> list[str]:
    """A line for each file of the user's own code that is there and not what it was when the run began."""
    return [
        f"warning: {name}: {code['file']} ({code['target']}) has changed since the run began"
        for name, code in record.get(KEY, {}).items()
        if code["file"] is not None
        and Path(code["file"]).is_file()
        and sha256_if_readable(Path(code["file"])) != code["sha256"]
    ]

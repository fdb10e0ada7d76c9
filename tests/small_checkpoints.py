"""Folders of runs as an earlier version wrote them, for tests of what reads them without training."""

import json
import shutil
from pathlib import Path
from typing import Any

FIRST_FORMAT = Path(__file__).parent / "fixtures" / "first_format" / "checkpoints"


def made_run(checkpoints: Path, name: str, **record: Any) -> Path:
    """A finished run of that name; keyword arguments replace parts of its record."""
    folder = checkpoints / name
    shutil.copytree(FIRST_FORMAT / "finished", folder)
    path = folder / "run.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "run": name, **record}))
    return folder

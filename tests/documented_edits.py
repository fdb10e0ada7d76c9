"""The edits that CONTRIBUTING.md shows for adding a part, applied to a copy of the package."""

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import simtrain

PACKAGE = Path(simtrain.__file__).parent
GUIDE = PACKAGE.parent / "CONTRIBUTING.md"


@dataclass(frozen=True, kw_only=True)
class Hunk:
    """Lines of a file before and after; nothing before: a new file."""

    file: str
    before: str
    after: str


def hunks(section: str) -> list[Hunk]:
    """The hunks of the diff in a section of CONTRIBUTING.md; `@@` without line numbers: the lines are found by text."""
    text = GUIDE.read_text(encoding="utf-8").split(f"\n## {section}\n")[1].split("\n## ")[0]
    (diff,) = re.findall(r"^```diff\n(.*?)^```$", text, flags=re.DOTALL | re.MULTILINE)
    found = []
    for part in re.split(r"^--- .*\n\+\+\+ b/", diff, flags=re.MULTILINE)[1:]:
        file, _, body = part.partition("\n")
        for lines in re.split(r"^@@\n", body, flags=re.MULTILINE)[1:]:
            marked = [(line[:1] or " ", line[1:]) for line in lines.splitlines()]
            before, after = ("\n".join(line for mark, line in marked if mark != left_out) for left_out in "+-")
            found.append(Hunk(file=file, before=before, after=after))
    return found


def copied_package(folder: Path) -> None:
    """Copy the package to a folder."""
    shutil.copytree(PACKAGE, folder / "simtrain", ignore=shutil.ignore_patterns("__pycache__"))


def edited(section: str, folder: Path) -> set[str]:
    """Apply a section's edits to the package of a folder, and return the files of the package they touch."""
    touched = set()
    for hunk in hunks(section):
        path = folder / hunk.file
        if hunk.before:
            text = path.read_text(encoding="utf-8")
            assert text.count(f"{hunk.before}\n") == 1, f"{hunk.file}: not once in it:\n{hunk.before}"
            path.write_text(text.replace(f"{hunk.before}\n", f"{hunk.after}\n"), encoding="utf-8")
        else:
            assert not path.exists(), f"{hunk.file}: is there already"
            path.write_text(f"{hunk.after}\n", encoding="utf-8")
        if hunk.file.startswith("simtrain/"):
            touched.add(hunk.file)
    return touched


def printed_with(folder: Path, code: str) -> list[str]:
    """Lines that Python code prints with the edited package of a folder, run in that folder."""
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout.splitlines()

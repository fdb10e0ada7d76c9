"""The commands, keys and links that the README and the pages under docs/ show."""

import re
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import simtrain
from simtrain import cli

ROOT = Path(simtrain.__file__).parents[1]
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "notebooks" / "README.md",
    *sorted((ROOT / "docs").glob("*.md")),
]
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", flags=re.DOTALL | re.MULTILINE)
_SET = re.compile(r"--set '?([a-z][a-z0-9_.]*)=")
_LINK = re.compile(r"\]\(([^)\s]+)\)")


@dataclass(frozen=True, kw_only=True)
class Block:
    """A block of code of a page."""

    language: str
    text: str


def named(page: Path) -> str:
    """How a page is called in the list of tests."""
    return page.relative_to(ROOT).as_posix()


def blocks(page: Path, language: str) -> list[str]:
    """Its blocks of a language."""
    return [text for kind, text in _BLOCK.findall(page.read_text(encoding="utf-8")) if kind == language]


def commands(text: str) -> list[list[str]]:
    """The calls of `simtrain` in a block of a shell, each split as a shell splits it, without what follows a `#`."""
    lines = text.replace("\\\n", " ").splitlines()
    calls = [part.strip() for line in lines for part in re.split(r"\s&&\s", line)]
    return [shlex.split(call, comments=True)[1:] for call in calls if call.startswith("simtrain ")]


def type_command(words: Sequence[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """`simtrain` with these words, as the shell would call it; it has to end well."""
    monkeypatch.setattr(sys, "argv", ["simtrain", *words])
    with pytest.raises(SystemExit) as left:
        cli.main()
    assert left.value.code == 0, words


def keys_set(page: Path) -> list[str]:
    """Every key of a `--set` anywhere on a page."""
    return _SET.findall(page.read_text(encoding="utf-8"))


def links(page: Path) -> list[str]:
    """Where the links of a page lead, but for those to other sites."""
    found: list[Any] = _LINK.findall(_BLOCK.sub("", page.read_text(encoding="utf-8")))
    return [link for link in found if not link.startswith(("http:", "https:", "mailto:"))]


def anchors(page: Path) -> set[str]:
    """What a link may name after `#`: the headings, as GitHub and the site write them."""
    titles = re.findall(r"^#+ (.+)$", _BLOCK.sub("", page.read_text(encoding="utf-8")), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-") for title in titles}

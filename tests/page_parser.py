"""What is in a written page, and names that would like to be more than names."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path

from tiny_comparison import jpeg

from simtrain.comparison.report import write_report
from simtrain.comparison.result import ComparisonReport

HOSTILE = (
    "<script>alert(1)</script>",
    "</script><img src=x onerror=alert(1)>",
    '"quoted" & \'single\' <b onclick="x">bold</b>',
    "{{ 7 * 7 }} %{x} $a$",
    "\u05d0\u05d1\u05d2 \N{CHAIR} <i>",
)


class Page(HTMLParser):
    """What a browser would see: elements with their attributes, headings, texts of scripts and all other text."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[tuple[dict[str, str | None], str]] = []
        self.words: list[str] = []
        self.headings: list[str] = []
        self._open: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))
        self.text = " ".join(" ".join(self.words).split())
        self.json = {str(of.get("id")): json.loads(text) for of, text in self.scripts if "type" in of}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag == "script":
            self.scripts.append((dict(attrs), ""))
        if tag == "h2":
            self.headings.append("")
        if tag not in ("meta", "img", "br", "wbr"):
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open[-1:] == ["script"]:
            attributes, text = self.scripts[-1]
            self.scripts[-1] = (attributes, text + data)
        elif self._open[-1:] != ["style"]:
            self.words.append(data)
        if "h2" in self._open:
            self.headings[-1] += data


def written(folder: Path, report: ComparisonReport) -> Page:
    path = folder / "comparison.html"
    write_report(path, report, thumbnail=jpeg)
    return Page(path)

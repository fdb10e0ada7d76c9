"""Writing of `comparison.html` from its template, whole or not at all."""

from __future__ import annotations

import hashlib
import json
import re
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup

from simtrain.comparison.report.content import Content, build_content
from simtrain.comparison.report.encoder_selection import select_encoders
from simtrain.comparison.report.page_images import PageImages
from simtrain.comparison.report.palette import DARK
from simtrain.comparison.result import ComparisonReport
from simtrain.errors import CheckpointError
from simtrain.files import write_whole

_PICTURE_CHARACTERS = 1_900_000
"""Of all data URIs: with some hundred kB of text and figures the file stays below 2.5 MB."""
_HEADING = re.compile(r'<h2 id="([\w-]+)">(.*?)</h2>')
_TEMPLATES = "simtrain.comparison.report"


def write_report(path: Path, report: ComparisonReport, *, thumbnail: Callable[[int, int], bytes | None]) -> None:
    """Write the page of `report_page` to a file, whole or not at all.

    Args:
        path: File to write; an existing one is replaced.
        report: Results of the comparison.
        thumbnail: As for `report_page`.

    Raises:
        CheckpointError: if the file cannot be written; then nothing is left of it.
        ValueError: for a thumbnail that is no JPEG.
    """
    write_whole(path, report_page(report, thumbnail=thumbnail), error=CheckpointError)


def report_page(report: ComparisonReport, *, thumbnail: Callable[[int, int], bytes | None]) -> bytes:
    """One HTML file that needs no network; the same arguments give the same bytes.

    Args:
        report: Results of the comparison.
        thumbnail: Row of the catalogue and wanted side in pixels -> a JPEG; None where there is no picture. Asked only
            for what is shown; what would make the file larger than about 2.5 MB is left out, which the page says.

    Raises:
        ValueError: for a thumbnail that is no JPEG.
    """
    page_images = PageImages(thumbnail=thumbnail, captions=report.pictures.captions, characters=_PICTURE_CHARACTERS)
    content = build_content(select_encoders(report), page_images)
    return _page(content, page_images).encode("utf-8", "replace")


def _page(content: Content, page_images: PageImages) -> str:
    environment = _environment()
    names = ("drawing.js.j2", "script.js.j2")
    script = "\n".join(_script(environment.get_template(name).render()) for name in names)
    template: Template = environment.get_template("comparison.html.j2")
    return template.render(
        content=content,
        report=content.selection.report,
        page_images=page_images,
        script=Markup(script),
        hashes=f"'sha256-{_digest(script)}'",
        dark=DARK,
        data={
            "figures": _embedded({chart.name: chart.figure for chart in content.charts}),
            "pictures": _embedded(page_images.uris),
        },
        variable=_variable,
        headings=_headings,
    )


def _environment() -> Environment:
    return Environment(
        loader=PackageLoader(_TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True, keep_trailing_newline=False,
    )  # fmt: skip


def _script(text: str) -> str:
    """A script as a browser hashes it: line ends of one kind, as in the file."""
    return text.replace("\r\n", "\n").replace("\r", "\n").strip("\n")


def _digest(text: str) -> str:
    return b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _embedded(content: Any) -> Markup:
    """JSON that cannot end the script element that it stands in, whatever names hold."""
    text = json.dumps(content, separators=(",", ":"), allow_nan=False)
    escaped = text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")
    return Markup(escaped)


def _headings(body: Markup) -> list[tuple[str, Markup]]:
    """Id and content of each heading of a section."""
    return [(name, Markup(title)) for name, title in _HEADING.findall(body)]


def _variable(colour: str) -> str:
    """The CSS variable of a colour of the palette."""
    return f"--c-{colour.removeprefix('#')}"

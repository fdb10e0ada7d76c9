"""`summary.html`: the catalogue's counts and findings, with pictures, as a web page."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, Template

from simtrain.catalog.inspection.console_summary import by_harm
from simtrain.catalog.summary_sections import MOST_EXAMPLES, sections_of
from simtrain.catalog.table import SPLITS
from simtrain.phrases import shortened

_MOST_BARS = 40
_CHARACTERS = 200  # of a text that may be of any length


@dataclass(frozen=True, kw_only=True)
class _Bar:
    label: str
    images: int
    percent: str


@dataclass(frozen=True, kw_only=True)
class SummaryContent:
    """What the page shows.

    Attributes:
        source: Source of the images, as it was given to `prepare`.
        counts: `found`, `unreadable`, `set_aside`, `images`, `products`, `labels`; `images_per_split`,
            `products_per_split`, `labels_per_split` by `SPLITS`; `images_per_label`.
        findings: Each with a `kind`; see `simtrain.catalog.inspection.kinds`.
        fixes: Remedies that were applied, each with a `message`.
        store: A sentence about the image store.
    """

    source: str
    counts: Mapping[str, Any]
    findings: Sequence[Mapping[str, Any]]
    fixes: Sequence[Mapping[str, Any]]
    store: str


def write_summary(path: Path, content: SummaryContent, *, thumbnail: Callable[[str], bytes | None]) -> None:
    """Write one HTML file that needs no network and no scripts; the same arguments give the same bytes.

    Args:
        path: The file.
        content: Counts, findings and fixes.
        thumbnail: JPEG or PNG bytes for an image's id; None where there is no picture. Asked only for what is shown;
            what would make the file larger than about 3 MB is left out.

    Raises:
        ValueError: for a finding of an unknown kind, or a thumbnail that is neither JPEG nor PNG.
    """
    counts, fixes = content.counts, content.fixes
    sections = sections_of(by_harm(content.findings), thumbnail=thumbnail)
    text = _template().render(
        source=content.source,
        counts=counts,
        splits=SPLITS,
        bars=_bars(counts["images_per_label"]),
        labels_between=max(0, len(counts["images_per_label"]) - _MOST_BARS),
        severities=Counter(section.severity for section in sections),
        sections=sections,
        fixes=[shortened(str(fix["message"]), to=_CHARACTERS) for fix in fixes[:MOST_EXAMPLES]],
        more_fixes=max(0, len(fixes) - MOST_EXAMPLES),
        store=content.store,
    )
    path.write_text(text, encoding="utf-8", newline="\n")


def _template() -> Template:
    loader = PackageLoader("simtrain.catalog")
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.get_template("summary.html.j2")


def _bars(images_per_label: Mapping[str, int]) -> tuple[list[_Bar], list[_Bar]]:
    """The largest labels and, where they are too many to show all, the smallest, each from large to small."""
    ordered = sorted(images_per_label.items(), key=lambda item: (-item[1], item[0]))
    largest = max(images_per_label.values(), default=1)
    half = _MOST_BARS // 2
    ends = (ordered, []) if len(ordered) <= _MOST_BARS else (ordered[:half], ordered[-half:])
    first, last = (
        [
            _Bar(label=shortened(label, to=_CHARACTERS), images=images, percent=f"{100 * images / largest:.1f}")
            for label, images in end
        ]
        for end in ends
    )
    return first, last

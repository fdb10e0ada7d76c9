"""Sections of `summary.html`: one per kind of finding, with examples and thumbnails."""

from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from simtrain.catalog.inspection.kinds import KINDS, Severity
from simtrain.phrases import counted, listed, shortened

MOST_EXAMPLES = 12
_MOST_SIDE_BY_SIDE = 4
_CHARACTERS = 160  # of an id, a value or a sentence that may be of any length
_CHARACTERS_OF_PICTURES = 2_600_000  # of all data URIs; the text around them stays far below 400 kB

_Finding = Mapping[str, Any]
_Thumbnail = Callable[[str], bytes | None]


@dataclass(frozen=True, kw_only=True)
class Picture:
    """An image with its id, what is told about it (name and value) and its `data:` URI, or None."""

    id: str
    told: list[tuple[str, str]]
    uri: str | None


@dataclass(frozen=True, kw_only=True)
class Example:
    """A sentence with the path it is about (or an empty one), pictures, and the number of those not shown."""

    name: str
    text: str
    pictures: list[Picture]
    more: int


@dataclass(frozen=True, kw_only=True)
class SummarySection:
    """All findings of a kind.

    Attributes:
        kind: Its name in `findings.json`.
        severity: How bad it is.
        title: Its heading.
        number: How many cases there are, shown or not, such as `3 pairs`.
        why: What it does.
        remedy: What to do.
        shown: As in `Kind`.
        messages: What the findings say themselves, where few of them stand for many images.
        examples: The first ones.
        more: Number of those not shown.
    """

    kind: str
    severity: Severity
    title: str
    number: str
    why: str
    remedy: str
    shown: str
    messages: list[str]
    examples: list[Example]
    more: int


def sections_of(by_kind: Mapping[str, Sequence[_Finding]], *, thumbnail: _Thumbnail) -> list[SummarySection]:
    """A section for each kind, in the given order; the space for pictures is shared out among those that have any."""
    sections = []
    left, waiting = _CHARACTERS_OF_PICTURES, sum(KINDS[kind].shown != "text" for kind in by_kind)
    for kind, findings in by_kind.items():
        album = _Album(thumbnail=thumbnail, characters=left // max(waiting, 1))
        sections.append(_section(kind, findings, album))
        left -= album.used
        waiting -= KINDS[kind].shown != "text"
    return sections


class _Album:
    """Pictures up to a number of characters."""

    def __init__(self, *, thumbnail: _Thumbnail, characters: int) -> None:
        self.used = 0
        self._thumbnail = thumbnail
        self._characters = characters

    def picture(self, name: str, *, told: Sequence[tuple[str, str]]) -> Picture:
        data = self._thumbnail(name)
        uri = None if data is None else f"data:image/{_format_of(data)};base64,{b64encode(data).decode()}"
        if uri is not None and self.used + len(uri) > self._characters:
            uri = None
        self.used += len(uri or "")
        short = [(what, shortened(value, to=_CHARACTERS)) for what, value in told]
        return Picture(id=shortened(name, to=_CHARACTERS), told=short, uri=uri)


def _section(kind: str, findings: Sequence[_Finding], album: _Album) -> SummarySection:
    about = KINDS[kind]
    findings = _pairs_of_copies(findings) if kind == "set_aside" else findings
    match about.shown:
        case "text":
            shown, number = [_in_words(kind, finding) for finding in findings[:MOST_EXAMPLES]], len(findings)
        case "together":
            shown, number = [_together(finding, album) for finding in findings[:MOST_EXAMPLES]], len(findings)
        case "singly":
            images = [(finding, place) for finding in findings for place in range(len(finding["ids"]))]
            shown, number = [_alone(finding, place, album) for finding, place in images[:MOST_EXAMPLES]], len(images)
    messages = [] if len(findings) > 1 or about.shown != "singly" else [_sentence(findings[0])]
    return SummarySection(
        kind=kind,
        severity=about.severity,
        title=about.title,
        number=_number(kind, findings, examples=number),
        why=about.why,
        remedy=about.remedy,
        shown=about.shown,
        messages=messages,
        examples=shown,
        more=number - len(shown),
    )


def _pairs_of_copies(findings: Sequence[_Finding]) -> list[_Finding]:
    """Each image that was set aside beside the one that it is a copy of."""
    return [
        {"kind": "set_aside", "ids": [name, copy_of], "was": split}
        for finding in findings
        for name, copy_of, split in zip(finding["ids"], finding["copies_of"], finding["splits"], strict=True)
    ]


def _in_words(kind: str, finding: _Finding) -> Example:
    name = str(finding["path"]) if kind in ("unreadable", "left_out") else ""
    text = str(finding["reason"]) if name else _sentence(finding)
    if kind == "images_outside_split_folders":
        text += f": {listed(finding['examples'])}"
    return Example(name=shortened(name, to=_CHARACTERS), text=shortened(text, to=3 * _CHARACTERS), pictures=[], more=0)


def _together(finding: _Finding, album: _Album) -> Example:
    ids = finding["ids"]
    places = _telling_first(finding)[:_MOST_SIDE_BY_SIDE]
    pictures = [album.picture(ids[place], told=_told(finding, place)) for place in places]
    text = shortened(_heading(finding), to=_CHARACTERS)
    return Example(name="", text=text, pictures=pictures, more=len(ids) - len(pictures))


def _alone(finding: _Finding, place: int, album: _Album) -> Example:
    picture = album.picture(finding["ids"][place], told=_told(finding, place))
    return Example(name="", text="", pictures=[picture], more=0)


def _told(finding: _Finding, place: int) -> list[tuple[str, str]]:
    """What a finding says about the image at that place among its ids."""
    match finding["kind"]:
        case "tiny_images" | "extreme_aspect_images":
            return [("size", f"{finding['widths'][place]} by {finding['heights'][place]} pixels")]
        case "notes_of_reading":
            return [("remark", finding["notes"][place])]
        case "captions_over_77_tokens":
            return [("tokens", f"about {finding['tokens'][place]}")]
        case "label_with_one_image":
            return [("label", finding["label"])]
        case "duplicates_differ":
            return [(finding["column"], _or_none(finding["values"][place]))]
        case "near_duplicates":
            return [(column, _or_none(finding[f"{column}s"][place])) for column in finding["differ"]]
        case "set_aside":
            return [("set aside from", finding["was"])] if place == 0 else []
        case _:
            return []


def _telling_first(finding: _Finding) -> list[int]:
    """Places among the ids, those first that show another value than the ones before."""
    values = finding.get("values") or [None] * len(finding["ids"])
    first = {value: place for place, value in reversed(list(enumerate(values)))}
    return sorted(range(len(values)), key=lambda place: (first[values[place]] != place, place))


def _heading(finding: _Finding) -> str:
    match finding["kind"]:
        case "near_duplicates":
            mirrored = ", mirrored" if finding["mirrored"] else ""
            differ = f"; different {', '.join(finding['differ'])}" if finding["differ"] else ""
            return f"similarity {finding['similarity']:.3f}{mirrored}{differ}"
        case "duplicates_differ":
            return f"different {finding['column']}s"
        case "captions_repeated":
            return str(finding["caption"])
        case "set_aside":
            return "copy and original"
        case "exact_duplicates":
            return counted(len(finding["ids"]), "image")
        case _:
            return _sentence(finding)


def _sentence(finding: _Finding) -> str:
    if finding["kind"] == "groups_across_splits":
        moved = counted(finding["moved_images"], "image was", "images were")
        return f"{counted(finding['groups'], 'group')} stood in several splits; {moved} moved"
    return str(finding.get("message") or finding["reason"])


def _number(kind: str, findings: Sequence[_Finding], *, examples: int) -> str:
    match kind:
        case "groups_across_splits":
            return counted(sum(finding["groups"] for finding in findings), "group")
        case "families":
            return counted(sum(finding["groups"] for finding in findings), "group")
        case "label_imbalance" | "labels_only_outside_train":
            return counted(sum(len(finding["labels"]) for finding in findings), "label")
        case (
            "images_outside_split_folders"
            | "split_inside_label"
            | "sidecars"
            | "one_label"
            | "several_pictures"
            | "products_of_one_image"
            | "families_tie_most"
        ):
            return counted(sum(finding["images"] for finding in findings), "image")
        case "pictures_not_read" | "other_files" | "clutter":
            return counted(sum(finding["files"] for finding in findings), "file")
        case "values_united" | "values_alike" | "values_differ_in_case":
            return counted(sum(len(finding["values"]) for finding in findings), "value")
        case "rows_left_out" | "paths_mended":
            return counted(sum(len(finding["rows"]) for finding in findings), "row")
        case "images_not_in_table" | "paths_not_found":
            return counted(sum(len(finding["paths"]) for finding in findings), "image")
        case "product_pattern_missed":
            return counted(sum(len(finding["ids"]) for finding in findings), "image")
    units = {"near_duplicates": "pair", "unreadable": "file", "left_out": "file", "renamed_column": "column"}
    units |= {"exact_duplicates": "group", "duplicates_differ": "case", "captions_repeated": "text"}
    units |= {"set_aside": "pair", "label_with_one_image": "label", "value_of_many_images": "value"}
    units |= {"side_table": "table", "table_dialect": "table", "columns_matched": "column", "column_set_free": "column"}
    units |= {"splits_found": "case", "columns_repeated": "table", "column_types_differ": "column"}
    return counted(examples, units.get(kind, "image"))


def _or_none(value: str | None) -> str:
    return "none" if value is None else value


def _format_of(data: bytes) -> str:
    if data.startswith(b"\xff\xd8\xff"):
        return "jpeg"
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "png"
    raise ValueError(f"a thumbnail is neither JPEG nor PNG: it starts with {data[:8]!r}")

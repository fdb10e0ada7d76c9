"""Texts and JSON files of an image's own name beside it, as img2dataset and captioning tools write them."""

import json
import posixpath
from collections.abc import Sequence
from typing import Any

import pandas as pd

from simtrain.catalog.sources.source import has_half_characters, text_column
from simtrain.catalog.sources.walk import Listing
from simtrain.phrases import counted, shortened

_TEXTS = (".txt", ".caption")
_LONGEST = 1 << 20


def sidecars_of(listing: Listing) -> dict[str, list[str]]:
    """The files of an image's name beside it, for each image that has any."""
    by_stem: dict[str, list[str]] = {}
    for path in listing.sidecars:
        by_stem.setdefault(posixpath.splitext(path)[0], []).append(path)
    found = {}
    for image in listing.images:
        own = by_stem.get(posixpath.splitext(image)[0], []) + by_stem.get(image, [])
        if own:
            found[image] = own
    return found


def sidecar_finding(found: dict[str, list[str]]) -> list[dict[str, Any]]:
    """A finding that these files are there and not read."""
    if not found:
        return []
    suffixes = sorted({posixpath.splitext(path)[1] for paths in found.values() for path in paths})
    example = next(iter(found.values()))[0]
    message = (
        f"{counted(len(found), 'image has', 'images have')} a file of its own name beside it "
        f"({', '.join(suffixes)}), such "
        f"as '{example}', which is not read; --set sidecars=true reads texts as captions and JSON as columns"
    )
    return [{"kind": "sidecars", "images": len(found), "message": message}]


def read_sidecars(
    listing: Listing, paths: Sequence[str], *, taken: Sequence[str]
) -> tuple[list[str | None], dict[str, pd.Series], list[dict[str, Any]]]:
    """Caption of each image, further columns, and findings: what was read, and what could not be.

    Args:
        listing: The folder.
        paths: Its images, in the order of the rows.
        taken: Names of columns that the catalogue needs for something else; a field of such a name is `source_NAME`.
    """
    sidecars = sidecars_of(listing)
    captions: list[str | None] = []
    fields: list[dict[str, Any]] = []
    broken: list[dict[str, Any]] = []
    for image in paths:
        caption, entry = None, {}
        for path in sidecars.get(image, []):
            try:
                text = (listing.root / path).read_text(encoding="utf-8-sig")[:_LONGEST]
                if path.endswith(_TEXTS):
                    caption = text.strip() or None
                else:
                    content = json.loads(text)
                    if not isinstance(content, dict):
                        reason = "holds no JSON object of fields"
                        broken.append({"kind": "left_out", "path": path, "reason": reason})
                    elif has_half_characters(content, text=text):
                        reason = "holds half of a character, such as \\ud83d"
                        broken.append({"kind": "left_out", "path": path, "reason": reason})
                    else:
                        entry = content
            except UnicodeDecodeError:
                broken.append({"kind": "left_out", "path": path, "reason": "not UTF-8 text; save it as UTF-8"})
            except (OSError, ValueError, RecursionError) as error:
                broken.append(
                    {"kind": "left_out", "path": path, "reason": shortened(f"cannot be read: {error}", to=200)}
                )
        told = entry.get("caption")
        captions.append(caption if caption is not None else told if isinstance(told, str) and told.strip() else None)
        fields.append(entry)
    read = sum(caption is not None or bool(entry) for caption, entry in zip(captions, fields, strict=True))
    message = f"captions and fields of {counted(read, 'image')} were read from files of their names beside them"
    finding = {"kind": "sidecars", "images": read, "message": message}
    return captions, _columns(fields, taken=taken), [finding, *broken] if sidecars else broken


def _columns(fields: Sequence[dict[str, Any]], *, taken: Sequence[str]) -> dict[str, pd.Series]:
    names = dict.fromkeys(name for entry in fields for name in entry if name != "caption")
    columns = {}
    for name in names:
        values = [entry.get(name) for entry in fields]
        kept_as = name.strip() or "nameless"
        while kept_as in taken or kept_as in columns:
            kept_as = f"source_{kept_as}"
        present = [value for value in values if value is not None]
        if present and all(isinstance(value, int | float) for value in present):
            columns[kept_as] = pd.Series([float("nan") if value is None else float(value) for value in values])
        elif present:
            columns[kept_as] = text_column([_plain(value) for value in values])
    return columns


def _plain(value: object) -> str | None:
    return None if value is None else value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)

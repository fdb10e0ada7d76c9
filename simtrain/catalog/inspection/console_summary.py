"""Console summary of the findings: one line per kind, most harmful first."""

from collections.abc import Mapping, Sequence
from typing import Any

from simtrain.catalog.inspection.kinds import KINDS
from simtrain.phrases import counted, listed, quoted, shortened

MOST_LINES = 20
_PATH_CHARACTERS = 160
_CHARACTERS = 60  # of an example that is not ours to shorten otherwise

_Finding = Mapping[str, Any]


def lines_of(findings: Sequence[_Finding], counts: Mapping[str, Any]) -> list[str]:
    """A line for each kind of finding with its count, an example and, where it helps, what to set; at most 20.

    Args:
        findings: In any order; each `kind` is one of `KINDS`.
        counts: `labels`: how many labels the catalogue has.
    """
    by_kind = by_harm(findings)
    lines = [_line(kind, found, labels=int(counts["labels"])) for kind, found in by_kind.items()]
    if len(lines) > MOST_LINES:
        untold = len(lines) - MOST_LINES + 1
        return [*lines[: MOST_LINES - 1], f"and {untold} other kinds of findings"]
    return lines


def by_harm(findings: Sequence[_Finding]) -> dict[str, list[_Finding]]:
    """The findings of each kind that there is, the most harmful kind first, each kind in the given order.

    Near duplicates in different splits come before those with different products or labels, and these before the rest.

    Raises:
        ValueError: for a kind that is none of `KINDS`.
    """
    by_kind: dict[str, list[_Finding]] = {kind: [] for kind in KINDS}
    for finding in findings:
        if finding["kind"] not in by_kind:
            raise ValueError(f"no kind of finding: '{finding['kind']}'; known: {', '.join(KINDS)}")
        by_kind[finding["kind"]].append(finding)
    by_kind["near_duplicates"].sort(key=lambda one: ("split" not in one["differ"], not one["differ"]))
    return {kind: found for kind, found in by_kind.items() if found}


def image_count(findings: Sequence[_Finding]) -> int:
    """How many images they are about, each counted once."""
    return len({name for finding in findings for name in finding.get("ids", ())})


def _line(kind: str, found: Sequence[_Finding], *, labels: int) -> str:
    number, first = len(found), found[0]
    match kind:
        case "groups_across_splits":
            groups = sum(finding["groups"] for finding in found)
            moved = sum(finding["moved_images"] for finding in found)
            one = first.get("of", "product or picture")  # earlier files say nothing of it
            return (
                f"{counted(groups, 'group')} of one {one} stood in several splits, such as "
                f"{quoted(first['examples'][0])}; moved {counted(moved, 'image')} to the strictest (test, else val)"
            )
        case "duplicates_differ":
            return (
                f"equal pictures with different products or labels: {counted(number, 'case')}, such as "
                f"{listed(first['ids'])} with {listed(first['values'])}"
            )
        case "near_duplicates":
            return f"pictures that are nearly the same: {_near_duplicates(found)}, such as {listed(first['ids'])}"
        case "images_outside_split_folders":
            return (
                f"{', '.join(first['split_folders'])} read as split, but {counted(first['images'], 'image')} "
                f"lie elsewhere, such as {first['examples'][0]}; if all folders are labels: --set levels=[label]"
            )
        case "renamed_column":
            more = f", and {counted(number - 1, 'other')}" if number > 1 else ""
            return f"column '{first['column']}' is kept as '{first['kept_as']}'{more}"
        case "label_with_one_image":
            return f"labels with a single image: {number} of {labels}, such as {quoted(first['label'])}"
        case _:
            return _line_of_names(kind, found)


def _line_of_names(kind: str, found: Sequence[_Finding]) -> str:
    number, first, images = len(found), found[0], image_count(found)
    match kind:
        case "unreadable" | "left_out":
            what = "cannot be read and left out" if kind == "unreadable" else "left out"
            path = str(first["path"])  # as it is, blanks and all, so that the file can be found
            path = path if len(path) <= _PATH_CHARACTERS else f"{path[: _PATH_CHARACTERS - 1]}…"
            return f"{what}: {counted(number, 'file')}, such as {quoted(path)}: {first['reason']}"
        case "set_aside":
            example = f"{quoted(first['ids'][0])} of {quoted(first['copies_of'][0])}"
            gone = first["products_gone"]
            vanished = f" ({counted(len(gone), 'product loses', 'products lose')} all images)" if gone else ""
            return (
                f"set aside, for a copy is in a stricter split: {counted(images, 'image')}{vanished}, such as {example}"
            )
        case "labels_only_outside_train":
            names = listed([label for finding in found for label in finding["labels"]], at_most=1)
            return f"labels that are not in train: {names}; if that is meant: --set split.protocol=open_set"
        case "exact_duplicates":
            return (
                f"{images} images show the same picture as another, in {counted(number, 'group')}, "
                f"such as {listed(first['ids'])}; each group is in one split"
            )
        case "captions_empty":
            return f"without a caption: {counted(images, 'image')}{_such_as(first)}"
        case "captions_repeated":
            text = shortened(str(first["caption"]), to=_CHARACTERS)
            return f"captions that different products share: {number}, such as '{text}' ({len(first['ids'])} images)"
        case "blank_images":
            return f"pictures that show next to nothing: {images}{_such_as(first)}"
        case "tiny_images":
            limit = f"a side below {first['smallest_side']} pixels"
            return f"tiny pictures, {limit}: {images}{_such_as(first)}"
        case "extreme_aspect_images":
            return f"very long pictures, {first['largest_aspect']:g} to 1 or more: {images}{_such_as(first)}"
        case "notes_of_reading":
            return f"read with a remark: {counted(images, 'image')}{_such_as(first)}: {first['notes'][0]}"
        case _:
            more = f" (and {number - 1} more such findings)" if number > 1 else ""
            return f"{first['message']}{more}"


def _near_duplicates(found: Sequence[_Finding]) -> str:
    told = [counted(len(found), "pair")]
    between = sum("split" in finding["differ"] for finding in found)
    conflicting = sum("product" in finding["differ"] or "label" in finding["differ"] for finding in found)
    if between:
        told.append(f"{between} in different splits")
    if conflicting:
        told.append(f"{conflicting} with different products or labels")
    kept = sum(finding["kept_apart"] for finding in found)
    if kept:
        setting = "--set near_duplicates.across_products=set_aside makes them copies"
        told.append(f"{kept} kept as different things: {setting}")
    return " (".join([told[0], ", ".join(told[1:]) + ")"]) if len(told) > 1 else told[0]


def _such_as(finding: _Finding) -> str:
    return f", such as {quoted(finding['ids'][0])}"

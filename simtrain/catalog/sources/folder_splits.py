"""Splits and labels from a folder's path: `train/mug`, `archive/train/mug`, `mug/train`, `train_images/mug`."""

import re
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Any

from simtrain.catalog.sources.source import known_split
from simtrain.phrases import counted, listed

_DEEPEST = 6
_FILLER = frozenset(
    {
        "data", "dataset", "folder", "image", "images", "imgs", "img", "jpg", "jpeg", "photo", "photos", "picture",
        "pictures", "pics", "seg", "set", "split", "files",
    }
)  # fmt: skip
"""Words beside a split's that do not change its meaning, as in `train_images`."""


_LOOSELY = {"trn": "train", "tst": "test", "eval": "val", "evaluation": "val", "holdout": "test", "heldout": "test"}
"""Words that may stand for a split, in names that are told and taken for labels."""


def folder_split(name: str) -> str | None:
    """The split that a folder's name tells: `train`, `Test_Images`, `train2017`, `training set`; None for any other."""
    words = _words(name)
    splits = [split for word in words if (split := known_split(word)) is not None]
    rest = [word for word in words if known_split(word) is None]
    plain = all(word.lower() in _FILLER or word.isdigit() for word in rest)
    return splits[0] if len(splits) == 1 and plain else None


def conventional_parts(paths: Sequence[str]) -> tuple[dict[str, Sequence[Any]], list[dict[str, Any]]]:
    """Split and label of each image from its folders, and a finding where that was no matter of course.

    The split is the outermost folder where that tells one. Else it is a deeper one, at one depth for all of the source:
    the first at which two splits stand. What lies above
    it then is part of the label only if it differs from image to image.
    """
    folders = [PurePosixPath(path).parent.parts for path in paths]
    depth = _depth_of_splits(folders)
    splits = [_split_at(names, depth) for names in folders]
    above = {names[:depth] for names, split in zip(folders, splits, strict=True) if split is not None}
    wrapped = depth > 0 and len(above) == 1
    labels = []
    for names, split in zip(folders, splits, strict=True):
        rest = names if split is None else (() if wrapped else names[:depth]) + names[depth + 1 :]
        labels.append("/".join(rest) or None)
    read = sorted({names[depth] for names, split in zip(folders, splits, strict=True) if split is not None})
    outside = [path for path, split in zip(paths, splits, strict=True) if split is None]
    if not read:
        return {"split": splits, "label": labels}, _split_inside_label(folders)
    told = [*_splits_found(read, depth=depth, images=len(paths) - len(outside)), *_outside(read, outside)]
    return {"split": splits, "label": labels}, told


def _depth_of_splits(folders: Sequence[tuple[str, ...]]) -> int:
    for depth in range(min(_DEEPEST, max(map(len, folders)))):
        at_depth = [_split_at(names, depth) for names in folders]
        told = {split for split in at_depth if split is not None}
        if depth == 0 and told:
            return 0
        if len(told) > 1:
            return depth
    return 0


def _split_at(names: tuple[str, ...], depth: int) -> str | None:
    return folder_split(names[depth]) if len(names) > depth else None


def _outside(read: list[str], outside: list[str]) -> list[dict[str, Any]]:
    """A finding where some images lie in a folder like `train` and others do not: it may have been a label."""
    if not outside:
        return []
    reason = "some images lie in folders that were read as splits and others do not; if all folders are labels, say so"
    return [
        {
            "kind": "images_outside_split_folders",
            "split_folders": read,
            "images": len(outside),
            "examples": outside[:3],
            "reason": f"{reason} with levels: [label]",
        }
    ]


def _splits_found(read: list[str], *, depth: int, images: int) -> list[dict[str, Any]]:
    if depth == 0 and all(known_split(name) is not None for name in read):
        return []
    where = f", {counted(depth, 'folder')} deep," if depth else ""
    message = (
        f"folders {listed(read)}{where} were read as the split of {counted(images, 'image')}; if they are something "
        "else, name each level, such as --set levels=[label,product]"
    )
    return [{"kind": "splits_found", "folders": read, "depth": depth, "message": message}]


def _split_inside_label(folders: Sequence[tuple[str, ...]]) -> list[dict[str, Any]]:
    inner = [names for names in folders if any(folder_split(name) for name in names)]
    if not inner:
        return _like_splits(folders)
    name = next(name for name in inner[0] if folder_split(name))
    levels = ",".join("split" if part == name else f"level{place}" for place, part in enumerate(inner[0], start=1))
    message = (
        f"'{name}' stands inside the label of {counted(len(inner), 'image')}, such as '{'/'.join(inner[0])}'; if it is "
        f"the split: --set levels=[{levels}], with label or product for the level that is one"
    )
    return [{"kind": "split_inside_label", "folder": name, "images": len(inner), "message": message}]


def _like_splits(folders: Sequence[tuple[str, ...]]) -> list[dict[str, Any]]:
    """A finding where names at one depth hold words for two splits beside others, such as `shoes_train`."""
    for depth in range(min(_DEEPEST, max(map(len, folders)))):
        names = sorted({parts[depth] for parts in folders if len(parts) > depth})
        split_names = [name for name in names if _loose_splits(name)]
        if len({split for name in split_names for split in _loose_splits(name)}) > 1:
            images = sum(len(parts) > depth and parts[depth] in split_names for parts in folders)
            message = (
                f"folders {listed(split_names)} sound like splits, and are read as a part of the label; if they are: "
                "rename them to train, val and test, or give a table with a column split"
            )
            finding = {"kind": "split_inside_label", "folder": split_names[0], "images": images, "message": message}
            return [finding]
    return []


def _loose_splits(name: str) -> set[str]:
    found = {known_split(word) or _LOOSELY.get(word.lower()) for word in _words(name)}
    return {split for split in found if split is not None}


def _words(name: str) -> list[str]:
    return [word for word in re.split(r"[\s_.\-]+|(?<=[a-z])(?=[A-Z0-9])", name) if word]

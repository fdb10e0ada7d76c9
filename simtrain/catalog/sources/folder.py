"""Source of images in a folder: class folders, nested or flat."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import pandas as pd

from simtrain.catalog.images import IMAGE_SUFFIXES
from simtrain.catalog.sources.source import (
    COMPUTED,
    PARTS,
    Source,
    boolean_of,
    known_split,
    products_from_paths,
    source_rows,
    split_of,
    text_column,
)
from simtrain.errors import CatalogError


def read_folder(root: Path, *, levels: Sequence[str] | None, product_pattern: str | None, output: Path) -> Source:
    """Find every image below a folder, in the order of the sorted relative paths.

    Hidden files and folders are passed over. Symbolic links that lead out of the folder, and linked folders, are
    left out and become findings.

    Args:
        root: The folder.
        levels: What its nested folders mean, outermost first; null: an outermost train, val or test (or a usual
            synonym, in any case) is the split and the rest of the folder's path is the label.
        product_pattern: Regular expression whose one group gives the product from the relative path; null: none.
        output: Folder that results go to; where it lies inside `root`, it is no part of the source.

    Raises:
        CatalogError: if there is no image, a folder cannot be listed, or `levels` or `product_pattern` do not fit.
    """
    walk = _Walk(root=root.resolve(), output=output.resolve())
    paths = sorted(walk.images())
    if not paths:
        raise CatalogError(_nothing_found(root, walk))
    findings = list(walk.findings)
    further: dict[str, pd.Series] = {}
    if levels is None:
        parts = _conventional_parts(paths)
        findings += _images_outside_split_folders(paths, splits=parts["split"])
    else:
        parts, further = _levels_as_columns(root, paths, levels=levels)
    if product_pattern is not None:
        if "product" in parts:
            raise CatalogError(f"{root}: both levels and product_pattern give the product; keep one of them")
        parts["product"] = products_from_paths(paths, pattern=product_pattern)
    return Source(rows=source_rows({"path": paths, **parts}, further), root=walk.root, findings=findings)


_FOREIGN = frozenset({"__MACOSX"})
"""Folders that other programs leave behind; what is in them only looks like images."""


@dataclass(kw_only=True)
class _Walk:
    root: Path
    output: Path
    findings: list[dict[str, Any]] = field(default_factory=list)
    other_suffixes: dict[str, int] = field(default_factory=dict)

    def images(self) -> Iterator[str]:
        """POSIX paths, relative to the root, of the images below it."""
        yield from self._images_below(str(self.root), prefix="")

    def _images_below(self, folder: str, *, prefix: str) -> Iterator[str]:
        # Plain strings and scandir's own knowledge of each entry: a Path and a stat for each of 100,000 files is slow.
        try:
            with os.scandir(folder) as entries:
                listed = sorted(entries, key=lambda entry: entry.name)
        except OSError as error:
            raise CatalogError(f"{error.filename}: the folder cannot be listed: {error.strerror}") from None
        for entry in listed:
            name = entry.name
            if name.startswith(".") or name in _FOREIGN:
                continue
            if entry.is_dir(follow_symlinks=False):
                if Path(entry.path) != self.output:
                    yield from self._images_below(entry.path, prefix=f"{prefix}{name}/")
            elif entry.is_symlink() and Path(entry.path).is_dir():
                self._leave_out(f"{prefix}{name}", "is a link to a folder; links are not followed")
            elif self._takes(entry, f"{prefix}{name}"):
                yield f"{prefix}{name}"

    def _takes(self, entry: os.DirEntry[str], path: str) -> bool:
        suffix = os.path.splitext(entry.name)[1].lower()  # noqa: PTH122 - see above
        if suffix not in IMAGE_SUFFIXES:
            self.other_suffixes[suffix] = self.other_suffixes.get(suffix, 0) + 1
            return False
        if entry.is_symlink() and not _target_inside(Path(entry.path), self.root):
            self._leave_out(path, "is a link that leads out of the source folder")
            return False
        if not entry.is_symlink() and not entry.is_file(follow_symlinks=False):
            self._leave_out(path, "is a pipe, a socket or a device")
            return False
        if not path.isascii() and not _is_text(path):
            self._leave_out(path, "its name is not UTF-8 text")
            return False
        return True

    def _leave_out(self, path: str, reason: str) -> None:
        name = os.fsencode(path).decode("utf-8", errors="backslashreplace")
        self.findings.append({"kind": "left_out", "path": name, "reason": reason})


def list_images(root: Path, *, output: Path) -> tuple[list[str], list[dict[str, Any]]]:
    """The sorted relative paths that `read_folder` finds, and what it leaves out.

    Raises:
        CatalogError: if a folder cannot be listed.
    """
    walk = _Walk(root=root.resolve(), output=output.resolve())
    return sorted(walk.images()), walk.findings


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _target_inside(link: Path, root: Path) -> bool:
    try:
        return link.resolve(strict=True).is_relative_to(root)
    except (OSError, RuntimeError):  # a link to nowhere, or to itself
        return False


def _nothing_found(root: Path, walk: _Walk) -> str:
    others = sum(walk.other_suffixes.values())
    most_frequent = sorted(walk.other_suffixes.items(), key=lambda item: (-item[1], item[0]))[:3]
    kinds = ", ".join(suffix or "without a suffix" for suffix, _ in most_frequent)
    seen = f"; found {others} other files ({kinds})" if others else "; it holds no files"
    left_out = f", and left out {len(walk.findings)} links or unreadable names" if walk.findings else ""
    return f"{root}: no images in it or below it: looked for {', '.join(sorted(IMAGE_SUFFIXES))}{seen}{left_out}"


def _conventional_parts(paths: Sequence[str]) -> dict[str, Sequence[Any]]:
    splits, labels = [], []
    for path in paths:
        folders = PurePosixPath(path).parent.parts
        split = known_split(folders[0]) if folders else None
        splits.append(split)
        labels.append("/".join(folders[1:] if split else folders) or None)
    return {"split": splits, "label": labels}


def _images_outside_split_folders(paths: Sequence[str], *, splits: Sequence[str | None]) -> list[dict[str, Any]]:
    """A finding where some images lie in a folder like `train` and others do not: it may have been a label."""
    outermost = [(PurePosixPath(path).parts[0], split) for path, split in zip(paths, splits, strict=True)]
    inside = sorted({folder for folder, split in outermost if split is not None})
    outside = [path for path, split in zip(paths, splits, strict=True) if split is None]
    if not inside or not outside:
        return []
    reason = "some images lie in folders that were read as splits and others do not; if all folders are labels, say so"
    return [
        {
            "kind": "images_outside_split_folders",
            "split_folders": inside,
            "images": len(outside),
            "examples": outside[:3],
            "reason": f"{reason} with levels: [label]",
        }
    ]


def _levels_as_columns(
    root: Path, paths: Sequence[str], *, levels: Sequence[str]
) -> tuple[dict[str, Sequence[Any]], dict[str, pd.Series]]:
    _check_levels(levels)
    folders = [PurePosixPath(path).parent.parts for path in paths]
    for path, names in zip(paths, folders, strict=True):
        if len(names) != len(levels):
            raise CatalogError(
                f"{root / path}: folder depth {len(names)}; levels [{', '.join(levels)}] ask for {len(levels)}"
            )
    parts: dict[str, Sequence[Any]] = {}
    further: dict[str, pd.Series] = {}
    for position, level in enumerate(levels):
        values = [names[position] for names in folders]
        places = [str(root / path) for path in paths]
        if level == "split":
            parts[level] = [split_of(value, where=place) for value, place in zip(values, places, strict=True)]
        elif level in ("query", "gallery"):
            parts[level] = [boolean_of(value, where=place) for value, place in zip(values, places, strict=True)]
        elif level in PARTS:
            parts[level] = values
        else:
            further[level] = text_column(values)
    return parts, further


def _check_levels(levels: Sequence[str]) -> None:
    for level in levels:
        if level in ("id", "path", *COMPUTED) or not level.strip():
            raise CatalogError(f"levels [{', '.join(levels)}]: a folder cannot give the column '{level}'")
        if list(levels).count(level) > 1:
            raise CatalogError(f"levels [{', '.join(levels)}]: '{level}' stands twice")

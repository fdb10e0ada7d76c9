"""Where the pictures of a bundle's items lie; noted beside the bundle, so that the bundle can be given away."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from simtrain.errors import BundleError
from simtrain.failures import damage_told
from simtrain.files import read_json, remove_leftovers, write_json

_TOLD = "where the pictures of a bundle lie on this machine; not part of the bundle"


@dataclass(frozen=True, kw_only=True)
class PictureFolders:
    """Folders of pictures.

    Attributes:
        folders: First part of the items' paths -> the folder that the rest starts from; the empty text stands for all
            other paths.
    """

    folders: Mapping[str, Path] = field(default_factory=dict)

    def __str__(self) -> str:
        return ", ".join(dict.fromkeys(str(folder) for folder in self.folders.values()))

    def path_of(self, path: str) -> Path | None:
        """Where the picture of an item is; None: no folder is known for it. It need not be there."""
        folder, rest = self._split(path)
        return None if folder is None else folder / rest

    def within(self, path: str) -> Path | None:
        """The file of an item's picture, where it is there and, links followed, within its folder."""
        folder, rest = self._split(path)
        if folder is None:
            return None
        try:
            root = folder.resolve()
            file = (root / rest).resolve()
            return file if file.is_relative_to(root) and file.is_file() else None
        except (OSError, ValueError):  # a name that no file can have
            return None

    def start_of(self, folder: Path, *, same_paths: bool) -> tuple[PurePosixPath, PictureFolders]:
        """First part of the items' paths for pictures of a source, and the folders with the source among them.

        Args:
            folder: Folder of the source's pictures, absolute.
            same_paths: Whether the source has items of the bundle by their paths: it is then the folder of all others,
                where none is known.
        """
        for prefix, known in sorted(self.folders.items()):
            if folder.is_relative_to(known.resolve()):
                return PurePosixPath(prefix) / folder.relative_to(known.resolve()).as_posix(), self
        if same_paths and "" not in self.folders:
            return PurePosixPath(), PictureFolders(folders={**self.folders, "": folder})
        name = folder.name or "pictures"
        prefix = next(new for number in range(1, 1_000_000) if (new := _numbered(name, number)) not in self.folders)
        return PurePosixPath(prefix), PictureFolders(folders={**self.folders, prefix: folder})

    def _split(self, path: str) -> tuple[Path | None, str]:
        first, _, rest = path.partition("/")
        if rest and first in self.folders:
            return self.folders[first], rest
        return self.folders.get(""), path


def is_there(path: Path | None) -> bool:
    """Whether a picture is where it should be; a name that no file can have is nowhere."""
    try:
        return path is not None and path.is_file()
    except (OSError, ValueError):
        return False


def _numbered(name: str, number: int) -> str:
    return name if number == 1 else f"{name}-{number}"


def known_folders(bundle: Path, manifest: Mapping[str, Any], *, images: Path | None) -> PictureFolders:
    """A folder that is given counts more than one in the manifest, and that more than what is noted beside the bundle.

    Args:
        bundle: The bundle's folder.
        manifest: Its manifest, whose checksum is right.
        images: Folder that the items' paths start from; None: none is given.

    Raises:
        BundleError: if the manifest or the note is damaged.
    """
    root = images if images is not None else manifest.get("image_root")
    if root is None:
        return noted_folders(bundle, checksum=str(manifest["checksum"]))
    with damage_told(bundle / "manifest.json", error=BundleError, advice="; export the bundle again"):
        return PictureFolders(folders={"": Path(root)})


def noted_folders(bundle: Path, *, checksum: str) -> PictureFolders:
    """The folders that are noted beside a bundle; none where nothing is noted of this very bundle.

    Args:
        bundle: The bundle's folder.
        checksum: That of its manifest.

    Raises:
        BundleError: if the note is damaged.
    """
    note = _note_of(bundle.resolve())
    return PictureFolders(folders=_read(note).get(checksum, {}) if note.is_file() else {})


@contextmanager
def noting(bundle: Path, folders: PictureFolders, *, old: str | None, new: str) -> Iterator[None]:
    """Note where the pictures of a bundle lie that the block puts in its place.

    Both bundles are noted before the block, so that a process which is killed leaves the note of the one that is there.

    Args:
        bundle: The bundle's folder, links resolved.
        folders: Folders of the new one.
        old: Checksum of the manifest of the bundle that is there; None: there is none.
        new: Checksum of the new one's.

    Raises:
        OSError: if the note cannot be written.
    """
    note = _note_of(bundle)
    kept = {key: value for key, value in _readable(note).items() if key == old}
    coming = {new: dict(folders.folders)} if folders.folders else {}
    _write(note, {**kept, **coming})
    try:
        yield
    except BaseException:
        _write(note, kept)
        raise
    _write(note, coming)


def forget_others(bundle: Path, *, checksum: str | None) -> None:
    """Forget the folders of other bundles than the one that is in a place.

    Args:
        bundle: The bundle's folder, links resolved.
        checksum: That of its manifest.

    Raises:
        OSError: if the note cannot be written.
    """
    note = _note_of(bundle)
    remove_leftovers(note)
    noted = _readable(note)
    if noted.keys() - {checksum}:
        _write(note, {key: value for key, value in noted.items() if key == checksum})


def _note_of(bundle: Path) -> Path:
    return bundle.with_name(f".{bundle.name}.pictures.json")


def _readable(note: Path) -> dict[str, dict[str, Path]]:
    try:
        return _read(note) if note.is_file() else {}
    except BundleError:  # it is written anew
        return {}


def _read(note: Path) -> dict[str, dict[str, Path]]:
    content = read_json(note, error=BundleError)
    try:
        return {str(each["checksum"]): _folders(each["folders"], note.parent) for each in content["bundles"]}
    except (AttributeError, KeyError, TypeError, ValueError):
        raise BundleError(f"{note}: damaged; remove it, and name the pictures' folder with --images FOLDER") from None


def _folders(described: Mapping[str, Any], beside: Path) -> dict[str, Path]:
    return {str(prefix): Path(os.path.normpath(beside / folder)) for prefix, folder in described.items()}


def _write(note: Path, bundles: Mapping[str, Mapping[str, Path]]) -> None:
    if not bundles:
        note.unlink(missing_ok=True)
        return
    described = [
        {"checksum": key, "folders": {prefix: _shown(folder, note.parent) for prefix, folder in folders.items()}}
        for key, folders in bundles.items()
    ]
    write_json(note, {"note": _TOLD, "bundles": described})


def _shown(folder: Path, beside: Path) -> str:
    """Below the place of the bundle a folder is named from there, so that both can be moved together."""
    return folder.relative_to(beside).as_posix() if folder.is_relative_to(beside) else str(folder)

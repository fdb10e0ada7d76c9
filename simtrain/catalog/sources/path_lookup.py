"""Files that a table's paths mean: exact, written otherwise (blanks, case, Unicode form, suffix), or elsewhere."""

import html
import os
import posixpath
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit

from simtrain.catalog.picture_kinds import HEIF_SUFFIXES, IMAGE_SUFFIXES
from simtrain.catalog.sources.spelling import folded
from simtrain.errors import CatalogError, first_line
from simtrain.phrases import quoted, shortened

_MOST_LISTED = 300_000
_CHARACTERS = 120
_FILE = "file:"
_NOT_LOCAL = "is not a local file; download the images and give their paths"
_DRIVE = re.compile(r"[A-Za-z]:[\\/]|\\\\")


@dataclass(frozen=True, kw_only=True)
class FoundPath:
    """What became of a path of a table.

    Attributes:
        path: POSIX path relative to the root; of a file that is not there, as the table has it.
        mended: What was different, such as `blanks`; null: nothing, or no such file.
        given: The path as the table has it, in the same form; null: it leads out of the root.
        is_there: Whether there is such a file.
    """

    path: str
    mended: str | None
    given: str | None
    is_there: bool


@dataclass(kw_only=True)
class PathLookup:
    """Files below a root by the paths of a table.

    Attributes:
        root: Folder that the paths start from, resolved.
        follow_links: Take files inside the root that are links to somewhere else.
        anywhere: Take a file of that name anywhere below the root, if there is one alone.
    """

    root: Path
    follow_links: bool
    anywhere: bool
    _folders: dict[str, dict[str, list[str]]] = field(default_factory=dict)
    _by_name: dict[str, list[str]] | None = None

    def find(self, text: str, *, where: str) -> FoundPath:
        """The file that a path means.

        Raises:
            CatalogError: opened by `where`, for what is no path of a file below the root.
        """
        path, foreign = (None, _NOT_LOCAL) if _is_address(text) else self._inside(_local(text), where=where)
        if path is not None and self._is_file(path):
            return FoundPath(path=path, mended=None, given=path, is_there=True)
        if path is not None and (near := self._written_otherwise(path)) is not None:
            return FoundPath(path=near, mended=_difference(path, near), given=path, is_there=True)
        likely = self.likely(text) if self.anywhere or (path is None and _is_of_elsewhere(text)) else None
        if likely is not None:
            return FoundPath(path=likely, mended="the folder", given=path, is_there=True)
        if path is None:
            raise CatalogError(f"{where}: {quoted(shortened(text, to=_CHARACTERS))} {foreign}")
        return FoundPath(path=path, mended=None, given=path, is_there=False)

    def likely(self, text: str) -> str | None:
        """The one file below the root whose path ends as the text does, as far back as need be; None: no such."""
        names = [_folded(name) for name in re.split(r"[\\/]+", text.strip()) if name not in ("", ".", "..")]
        found = self._listed().get(names[-1], []) if names else []
        for length in range(1, len(names) + 1):
            if len(found) <= 1:
                break
            tail = names[-length:]
            found = [path for path in found if [_folded(name) for name in path.split("/")][-length:] == tail]
        return found[0] if len(found) == 1 else None

    def _inside(self, text: str, *, where: str) -> tuple[str | None, str]:
        """The path below the root; None with the reason where it leads elsewhere."""
        try:
            if "\\" in text and not (self.root / text).exists():
                text = text.replace("\\", "/")  # tables written on Windows
            if _DRIVE.match(text):
                return None, (
                    f"is a path of Windows with a drive; give the folder that the files are in now: --set root=FOLDER, "
                    f"which takes the place of '{posixpath.dirname(text) or text[:3]}'"
                )
            given = Path(posixpath.normpath((self.root / text).as_posix()))
            target = (self.root / text).resolve()
        except (ValueError, OSError, RuntimeError) as error:  # a NUL character, a link to itself
            shown = quoted(shortened(text, to=_CHARACTERS))
            raise CatalogError(f"{where}: {shown} cannot be a path: {first_line(error, to=80)}") from None
        if given.is_relative_to(self.root) and (self.follow_links or target.is_relative_to(self.root)):
            return given.relative_to(self.root).as_posix(), ""
        if target.is_relative_to(self.root):
            return target.relative_to(self.root).as_posix(), ""
        if given.is_relative_to(self.root):
            return None, f"is a link to {target}, outside {self.root}; --set follow_links=true takes it"
        return None, f"lies outside {self.root}; --set root=FOLDER names another folder to start from"

    def _is_file(self, path: str) -> bool:
        return os.path.exists(f"{self.root}/{path}")  # noqa: PTH110 - a Path for each of 100,000 files takes a second

    def _written_otherwise(self, path: str) -> str | None:
        """The one file whose names are the same but for blanks, case, Unicode form, look-alikes, %20 or the suffix."""
        found = [""]
        names = path.split("/")
        for number, name in enumerate(names):
            last = number == len(names) - 1
            found = [
                f"{folder}/{entry}" if folder else entry
                for folder in found
                for entry in self._entries(folder).get(_folded(name), []) + self._with_suffix(folder, name, last=last)
            ]
            if not found or len(found) > 8:
                return None
        return found[0] if len(found) == 1 else None

    def _with_suffix(self, folder: str, name: str, *, last: bool) -> list[str]:
        """Images of that name with a suffix, or with another one."""
        if not last:
            return []
        stem, given = posixpath.splitext(_folded(name))
        suffixes = sorted(IMAGE_SUFFIXES | HEIF_SUFFIXES)
        names = [f"{stem}{suffix}" for suffix in suffixes if given in suffixes and suffix != given]
        names += [f"{_folded(name)}{suffix}" for suffix in suffixes if given not in suffixes]
        return [entry for other in names for entry in self._entries(folder).get(other, [])]

    def _entries(self, folder: str) -> dict[str, list[str]]:
        if folder not in self._folders:
            entries: dict[str, list[str]] = defaultdict(list)
            try:
                for name in sorted(os.listdir(f"{self.root}/{folder}")):  # noqa: PTH208 - names alone are wanted
                    entries[_folded(name)].append(name)
            except OSError:
                entries.clear()
            self._folders[folder] = dict(entries)
        return self._folders[folder]

    def _listed(self) -> dict[str, list[str]]:
        """Every file below the root by its name, with and without the suffix; of a huge folder only the first."""
        if self._by_name is None:
            listed: dict[str, list[str]] = defaultdict(list)
            for number, path in enumerate(_files_below(self.root)):
                if number == _MOST_LISTED:
                    break
                name = _folded(posixpath.basename(path))
                listed[name].append(path)
                stem, suffix = posixpath.splitext(name)
                if suffix in IMAGE_SUFFIXES:
                    listed[stem].append(path)
            self._by_name = dict(listed)
        return self._by_name


def start_of(missing: Sequence[tuple[str, str]], *, root: Path) -> Path | None:
    """The folder that paths start from, by pairs of a path as a table has it and the file it probably means."""
    votes: dict[Path, int] = defaultdict(int)
    for text, likely in missing:
        given = posixpath.normpath(text.strip().replace("\\", "/"))
        if likely == given or likely.endswith(f"/{given}"):
            votes[root / likely[: len(likely) - len(given)]] += 1
        elif given.endswith(f"/{likely}") and str(root).endswith("/" + given[: -len(likely) - 1]):
            votes[Path(str(root)[: -(len(given) - len(likely))])] += 1
    best = max(votes, key=lambda folder: votes[folder], default=None)
    return best if best is not None and 2 * votes[best] > len(missing) else None


def _is_of_elsewhere(text: str) -> bool:
    """Whether a path starts from the root of some machine, or is an address."""
    return text.lstrip().startswith("/") or bool(_DRIVE.match(text)) or "://" in text or _FILE in text.lower()


def _is_address(text: str) -> bool:
    return "://" in text and not text.strip().lower().startswith(_FILE)


def _local(text: str) -> str:
    """The text, a `file://` address as the path that it is."""
    if text.strip().lower().startswith(_FILE):
        address = urlsplit(text.strip())
        path = unquote(address.path)
        return path.removeprefix("/") if _DRIVE.match(path.removeprefix("/")) else path
    return text


def _folded(name: str) -> str:
    """A name without quotes around it, an address's question behind it, and what HTML and addresses write for it."""
    plain = html.unescape(unquote(name)).partition("?")[0]
    return folded(plain).strip("\"'")


def _difference(given: str, found: str) -> str:
    if unicodedata.normalize("NFC", given) == unicodedata.normalize("NFC", found):
        return "the Unicode form of letters"
    if given.casefold() == found.casefold():
        return "upper and lower case"
    if _without_blanks(given) == _without_blanks(found):
        return "blanks"
    if posixpath.splitext(found)[0] in (given, posixpath.splitext(given)[0]):
        return "the suffix"
    return "spelling (blanks, case, Unicode form, letters of one shape, suffix)"


def _without_blanks(path: str) -> list[str]:
    return [" ".join(part.split()) for part in path.split("/")]


def _files_below(root: Path) -> Iterator[str]:
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        prefix = posixpath.relpath(folder, root)
        for name in sorted(names):
            yield name if prefix == "." else f"{prefix}/{name}"

"""What other programs leave in a folder of pictures: thumbnails, deleted files, settings."""

import posixpath
import re
from collections import Counter, defaultdict
from collections.abc import Sequence

_NAMES = frozenset(
    {
        "__macosx", "@eadir", "#recycle", "#snapshot", "@recycle", "@recently-snapshot", "$recycle.bin", "recycler",
        "system volume information", "lost+found", "network trash folder", "temporary items", "__pycache__",
        "thumbs.db", "ehthumbs.db", "desktop.ini", "picasa.ini", "@__thumb", "@tmp", "@sharebin", "@download",
        "recycled", "~snapshot", "zbthumbnail.info",
    }
)  # fmt: skip
"""Names of files and folders, in small letters."""

_PATTERN = re.compile(r"found\.[0-9]{3}|@syno.*|_vti_.*|.*@syno(eastream|resource)")
_THUMBNAILS = re.compile(r"[@._\- ]*(thumb|thumbnail|miniature|miniatura|vorschaubild)(e?s|er)?[_\- ]*[0-9x]*")
_MARK = re.compile(r"(^|[_\-. ])(thumb|thumbnail|tn|small|mini|[0-9]{2,4}x[0-9]{2,4})(?=$|[_\-. ])")
_LEAST = 0.5


def is_clutter(name: str) -> bool:
    """Whether a file or folder of this name is no part of a shop's pictures, whatever it holds."""
    return name.lower() in _NAMES or _PATTERN.fullmatch(name.lower()) is not None


def without_thumbnails(images: Sequence[str]) -> tuple[list[str], dict[str, int]]:
    """The images but for those in folders of thumbnails, and how many there are by the folder's name.

    A folder called `thumbs` or the like is one if at least half of its images have the name of an image that lies
    beside it or below what lies beside it, `thumb_` and `-150x150` aside.

    Args:
        images: POSIX paths relative to the source.
    """
    inside: dict[str, list[str]] = defaultdict(list)
    others = []
    known_folders: dict[str, str | None] = {}  # by the image's own, of which there are few
    for path in images:
        own = posixpath.dirname(path)
        if own not in known_folders:
            known_folders[own] = _thumbnail_folder(path)
        folder = known_folders[own]
        if folder is None:
            others.append(path)
        else:
            inside[folder].append(path)
    beside = {posixpath.dirname(folder) for folder in inside}
    stems: dict[str, set[str]] = defaultdict(set)
    for path in others if inside else []:
        for parent in _parents(path):
            if parent in beside:
                stems[parent].add(_stem(path))
    passed: set[str] = set()
    counts: Counter[str] = Counter()
    for folder, paths in inside.items():
        known = stems[posixpath.dirname(folder)]
        if sum(_stem(path) in known for path in paths) >= _LEAST * len(paths):
            passed.update(paths)
            counts[posixpath.basename(folder)] += len(paths)
    return [path for path in images if path not in passed], dict(counts)


def _thumbnail_folder(path: str) -> str | None:
    return next((one for one in _parents(path) if one and _THUMBNAILS.fullmatch(posixpath.basename(one).lower())), None)


def _parents(path: str) -> list[str]:
    """The folders that a path lies in, outermost first; the source itself is the empty text."""
    parts = path.split("/")[:-1]
    return ["/".join(parts[:count]) for count in range(len(parts) + 1)]


def _stem(path: str) -> str:
    return _MARK.sub("", posixpath.splitext(posixpath.basename(path))[0].casefold()).strip("_-. ")

"""Files that systems leave in a bundle's folder, which are not of the bundle and do no harm."""

import re
from pathlib import Path

_OF_SYSTEMS = re.compile(
    r"\.DS_Store|\.localized|Icon\r|(eh)?[Tt]humbs\.db|desktop\.ini|\._.*|\.nfs[0-9a-f]+|\.fuse_hidden\w+|\.smbdelete\w+"
    r"|\.git(attributes|ignore|keep)|\.directory|\.~lock\..*#"
)
"""Names of files that file managers and file systems leave in a folder; no library reads them."""

_FOLDERS_OF_SYSTEMS = re.compile(r"\..+|__pycache__|@eaDir|@__thumb|#recycle|\$RECYCLE\.BIN")
"""Names of folders likewise, whatever lies in them."""


def files_within(folder: Path, name: str) -> list[str]:
    """Files below a folder of a bundle, by their paths in the bundle, without those that systems leave.

    Args:
        folder: The bundle's folder.
        name: Of the folder in it.
    """
    files = (folder / name).rglob("*")
    return [
        path.relative_to(folder).as_posix()
        for path in sorted(files)
        if not path.is_dir() and not _is_of_a_system(path.relative_to(folder))
    ]


def _is_of_a_system(path: Path) -> bool:
    return bool(_OF_SYSTEMS.fullmatch(path.name) or any(map(_FOLDERS_OF_SYSTEMS.fullmatch, path.parent.parts)))

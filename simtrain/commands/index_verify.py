"""`simtrain index verify`: every file of a bundle, its encoder, and some of its images once more."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from simtrain.commands.search import open_bundle
from simtrain.console import Console
from simtrain.errors import SimtrainError
from simtrain.files import sha256_if_readable
from simtrain.phrases import counted
from simtrain.serving.bundle import CONTENT_COLUMN
from simtrain.serving.given_bundle import GivenBundle
from simtrain.serving.picture_folders import is_there

_CHECKED = 64
_SAME = 0.999


@dataclass(frozen=True, kw_only=True)
class VerifyReport:
    """What `verify` has looked at; `print` shows it."""

    folder: Path
    items: int
    checked: int
    missing: int
    changed: list[str]
    signed_by: Path | None

    def __str__(self) -> str:
        lines = [
            f"bundle: {self.folder} ({counted(self.items, 'item')}): every file is as it was written, the encoder "
            f"gives its golden embeddings, and {counted(self.checked, 'image')} those of the index"
        ]
        if self.signed_by is not None:
            lines.append(f"signature: of {self.signed_by}")
        if self.missing:
            lines.append(
                f"not looked at: {counted(self.missing, 'image file')} of the sample, not found; where they lie "
                f"elsewhere: simtrain index verify {self.folder} --images FOLDER"
            )
        if self.changed:
            lines.append(
                f"changed since: {counted(len(self.changed), 'image file')} of the sample, such as "
                f"'{self.changed[0]}'; simtrain index update {self.folder} SOURCE"
            )
        return "\n".join(lines)


def verify(given: GivenBundle, *, console: Console) -> VerifyReport:
    """Open a bundle, checking every file and its encoder, and embed some of its images again.

    Raises:
        SimtrainError: for the first thing that is wrong.
    """
    opened = open_bundle(given, texts=False)
    bundle, folder = opened.bundle, given.folder
    rows = np.unique(np.linspace(0, len(bundle.items) - 1, min(_CHECKED, len(bundle.items))).astype(np.int64))
    paths = {row: bundle.pictures.path_of(str(bundle.items["path"].iat[row])) for row in rows.tolist()}
    files = {row: path for row, path in paths.items() if path is not None and is_there(path)}
    known = bundle.items[CONTENT_COLUMN].tolist() if CONTENT_COLUMN in bundle.items.columns else None
    changed = [
        row
        for row, path in files.items()
        if known is not None and isinstance(known[row], str) and sha256_if_readable(path) != known[row]
    ]
    looked_at = [row for row in files if row not in set(changed)]
    for row in console.bar(looked_at, len(looked_at), "verifying images"):
        embedding = opened.encode([files[row]])
        kept = bundle.index.vectors(np.array([row], dtype=np.int64)) if bundle.index.keeps_vectors else embedding
        similarity = float((kept[0] * embedding[0]).sum())
        if similarity < _SAME:
            raise SimtrainError(
                f"{folder}: item '{bundle.items['id'].iat[row]}': its image has another embedding than the index "
                f"(cosine {similarity:.3f}); simtrain index update {folder} SOURCE"
            )
    names = [str(bundle.items["id"].iat[row]) for row in changed]
    return VerifyReport(
        folder=folder,
        items=len(bundle.items),
        checked=len(looked_at),
        missing=len(rows) - len(files),
        changed=names,
        signed_by=None if given.signed_by is None else given.signed_by.file,
    )

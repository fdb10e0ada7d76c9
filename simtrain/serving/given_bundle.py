"""A bundle as it is named on a command line: its folder, and what is not in it."""

from dataclasses import dataclass
from pathlib import Path

from simtrain.errors import SimtrainError
from simtrain.serving.bundle import Bundle


@dataclass(frozen=True, kw_only=True)
class GivenBundle:
    """A bundle's folder, and where its pictures lie.

    Attributes:
        folder: Folder of the bundle.
        images: Folder that the items' paths start from; None: as noted when the bundle was made on this machine.
    """

    folder: Path
    images: Path | None = None

    @staticmethod
    def of(given: "str | Path | GivenBundle", *, images: str | Path | None = None) -> "GivenBundle":
        """One of a path as a user writes it."""
        if isinstance(given, GivenBundle):
            return given
        return GivenBundle(
            folder=Path(given).expanduser(), images=None if images is None else Path(images).expanduser()
        )

    def open(self) -> Bundle:
        """Open it.

        Raises:
            SimtrainError: for a folder of pictures that is not there.
            BundleError: as `Bundle.open`.
        """
        if self.images is not None and not self.images.is_dir():
            raise SimtrainError(f"--images {self.images}: no such folder; name the one that the items' paths begin in")
        return Bundle.open(self.folder, images=self.images)

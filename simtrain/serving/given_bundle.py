"""A bundle as it is named on a command line: its folder, and what is not in it."""

from dataclasses import dataclass
from pathlib import Path

from simtrain.errors import SimtrainError
from simtrain.serving.bundle import Bundle
from simtrain.serving.signature import SigningKey, VerifyingKey


@dataclass(frozen=True, kw_only=True)
class GivenBundle:
    """A bundle's folder, where its pictures lie, and whose it must be.

    Attributes:
        folder: Folder of the bundle.
        images: Folder that the items' paths start from; None: as noted when the bundle was made on this machine.
        signed_by: Key whose signature it must have; None: any or none.
    """

    folder: Path
    images: Path | None = None
    signed_by: VerifyingKey | None = None

    @staticmethod
    def of(
        given: "str | Path | GivenBundle", *, images: str | Path | None = None, signed_by: str | Path | None = None
    ) -> "GivenBundle":
        """One of paths as a user writes them.

        Raises:
            SimtrainError: for a key that cannot be read.
        """
        if isinstance(given, GivenBundle):
            return given
        return GivenBundle(
            folder=Path(given).expanduser(),
            images=None if images is None else Path(images).expanduser(),
            signed_by=None if signed_by is None else VerifyingKey.read(Path(signed_by).expanduser()),
        )

    def open(self) -> Bundle:
        """Open it.

        Raises:
            SimtrainError: for a folder of pictures that is not there.
            BundleError: as `Bundle.open`.
        """
        if self.images is not None and not self.images.is_dir():
            raise SimtrainError(f"--images {self.images}: no such folder; name the one that the items' paths begin in")
        return Bundle.open(self.folder, images=self.images, signed_by=self.signed_by)


@dataclass(frozen=True, kw_only=True)
class Giving:
    """How a bundle is given to others.

    Attributes:
        relocatable: Whether it can be: no path of this machine is in it, and where the pictures lie is noted beside it.
            Otherwise their folder is in its manifest.
        sign: Key that its manifest is signed with; None: it is not.
    """

    relocatable: bool = True
    sign: SigningKey | None = None

"""The place of a bundle: what may be replaced there, and the replacement in one step."""

from pathlib import Path

from simtrain.errors import BundleError
from simtrain.files import remove_leftovers, replace_folder
from simtrain.locks import written_by_one
from simtrain.output_folders import why_not_writable
from simtrain.serving.manifest import checksum_of, is_bundle
from simtrain.serving.picture_folders import PictureFolders, forget_others, noting
from simtrain.serving.signature import SIGNATURE_FILE


def check_target(folder: Path, *, signed: bool) -> None:
    """Refuse, before any work is done, a folder where no bundle can be put.

    Args:
        folder: The place.
        signed: Whether the one that is to be put there is signed; where one is, only a signed one may follow.

    Raises:
        BundleError: if there is something that is not a bundle, or the place cannot be written to.
    """
    if (folder.exists() or folder.is_symlink()) and not is_bundle(folder):
        raise BundleError(f"{folder}: exists and is not a bundle; choose another folder, or remove it first")
    if not signed and (folder / SIGNATURE_FILE).exists():
        raise BundleError(
            f"{folder}: is signed, and the new one would not be: --sign KEY; to go on without a signature first: "
            f"rm {folder / SIGNATURE_FILE}"
        )
    reason = why_not_writable(folder.resolve().parent)
    if reason is not None:
        raise BundleError(f"{folder}: cannot be written: {reason}; choose another folder")


def clear_place(target: Path) -> None:
    """Remove what killed writers of a bundle have left beside it.

    Args:
        target: The bundle, links resolved.
    """
    with written_by_one(target, error=BundleError):
        remove_leftovers(target)
        forget_others(target, checksum=checksum_of(target))


def put_bundle(work: Path, target: Path, *, pictures: PictureFolders) -> None:
    """Put a finished bundle in its place, in one step; one that is there is replaced.

    Args:
        work: The finished bundle.
        target: Its place, links resolved.
        pictures: Folders of its pictures that are noted beside it; none: nothing is noted.
    """
    with written_by_one(target, error=BundleError):
        if target.exists():
            signed = (work / SIGNATURE_FILE).exists()
            check_target(target, signed=signed)  # it may have changed while the new one was made
        with noting(target, pictures, old=checksum_of(target), new=str(checksum_of(work))):
            replace_folder(work, target)

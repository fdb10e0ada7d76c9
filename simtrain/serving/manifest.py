"""`manifest.json`: a bundle's description and the SHA-256 hashes of its files."""

import json
import math
from importlib import metadata
from pathlib import Path, PurePosixPath
from shlex import quote
from typing import Any

from simtrain.errors import BundleError, nearest
from simtrain.files import sha256_of_bytes, sha256_of_file, write_json
from simtrain.mistaken import mistaken
from simtrain.phrases import joined
from simtrain.serving.replacement import check_hash
from simtrain.serving.signature import VerifyingKey

MANIFEST_FILE = "manifest.json"
FORMAT_VERSION = 4
_READABLE_VERSIONS = (1, 2, 3, 4)
# 1: encoders neither whitened nor averaged over mirrored images; 2: no stored vectors; 3: always with `image_root`
_FORMAT = "simtrain bundle"
_LIBRARIES = (
    "torch", "torchvision", "timm", "sentence-transformers", "transformers", "tokenizers", "numpy", "pillow",
    "faiss-cpu", "safetensors", "pandas", "pyarrow",
)  # fmt: skip
_KEYS = ("encoder", "preprocessing", "index", "files", "fingerprint")


def write_manifest(folder: Path, content: dict[str, Any]) -> None:
    """Write `manifest.json` with the format's name and version in front and a checksum of the rest at the end.

    Args:
        folder: The bundle's folder.
        content: Plain values; numpy scalars become numbers, paths text, and numbers that are not finite null, which
            is all that JSON has for them.

    Raises:
        ValueError: for a value that JSON cannot hold.
    """
    manifest = {"format": _FORMAT, "format_version": FORMAT_VERSION, **_plain(content)}
    manifest["checksum"] = _checksum(manifest)
    write_json(folder / MANIFEST_FILE, manifest)


def read_manifest(folder: Path, *, signed_by: VerifyingKey | None = None) -> dict[str, Any]:
    """Read and check `manifest.json`.

    Args:
        folder: The bundle's folder.
        signed_by: Key whose signature it must have, which is checked before anything is looked at; None: any or none.

    Raises:
        BundleError: if the folder is not a bundle, is of a newer format, or the manifest was altered.
    """
    path = folder / MANIFEST_FILE
    if not path.is_file() and (instead := mistaken(folder, expected="bundle")) is not None:
        raise BundleError(instead)
    if not folder.is_dir():
        make_one = f"; make one with: simtrain export RUN --out {quote(str(folder))}"
        raise BundleError(f"{folder}: no such bundle{_bundle_like(folder) or make_one}")
    if not path.is_file():
        raise BundleError(f"{folder}: not a bundle: it has no {MANIFEST_FILE}")
    content = _content(path)
    if signed_by is not None:
        signed_by.check(path, content)
    manifest = _parsed(content)
    if manifest is None or manifest.get("format") != _FORMAT:
        raise BundleError(f"{path}: not the manifest of a simtrain bundle, or damaged")
    if manifest.get("format_version") not in _READABLE_VERSIONS:
        raise BundleError(
            f"{path}: format_version is {manifest.get('format_version')}; this simtrain reads "
            f"{joined([str(version) for version in _READABLE_VERSIONS])}"
        )
    if manifest.get("checksum") != _checksum(manifest) or any(key not in manifest for key in _KEYS):
        raise BundleError(f"{path}: altered; export the bundle again")
    return manifest


def checksum_of(folder: Path) -> str | None:
    """Checksum of a bundle's manifest, by which it is told from others; None: no bundle is there."""
    manifest = _parsed(_content(folder / MANIFEST_FILE))
    return None if manifest is None else str(manifest.get("checksum"))


def is_bundle(folder: Path) -> bool:
    """Whether the folder holds a manifest of this format, whole or not."""
    manifest = _parsed(_content(folder / MANIFEST_FILE))
    return manifest is not None and manifest.get("format") == _FORMAT


def check_files(folder: Path, hashes: dict[str, str], *, required: tuple[str, ...], optional: tuple[str, ...]) -> None:
    """Compare every file of a bundle with its hash.

    Args:
        folder: The bundle's folder.
        hashes: Relative path -> SHA-256, as the manifest lists them.
        required: Paths that must be listed.
        optional: Paths that must be listed if the files are there.

    Raises:
        BundleError: naming the first file that is missing, altered, or not listed.
    """
    for name in (*required, *optional):
        if name not in hashes and (name in required or (folder / name).exists()):
            raise BundleError(f"{folder / name}: not of this bundle: {MANIFEST_FILE} does not list it")
    for name, expected in hashes.items():
        relative = PurePosixPath(name)
        if relative.is_absolute() or ".." in relative.parts:
            raise BundleError(f"{folder / MANIFEST_FILE}: lists '{name}', which is outside of the bundle")
        path = folder / relative
        if not path.is_file():
            raise BundleError(f"{path}: missing; export the bundle again")
        check_hash(path, sha256_of_file(path), expected=expected)


def hashes_of(folder: Path) -> dict[str, str]:
    """Relative path -> SHA-256 of every file in a folder, in the order of their paths."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): sha256_of_file(path) for path in files}


def library_versions() -> dict[str, str]:
    """Versions of the installed libraries that embeddings and files depend on."""
    return {name: version for name in _LIBRARIES if (version := _version(name)) is not None}


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _content(path: Path) -> bytes:
    """What is in a file; nothing for one that cannot be read, or a pipe, which would be waited for."""
    try:
        return path.read_bytes() if path.is_file() else b""
    except OSError:
        return b""


def _bundle_like(folder: Path) -> str:
    """The bundle beside a folder that is not there whose name is nearest, as a question."""
    beside = [path.parent.name for path in folder.parent.glob(f"*/{MANIFEST_FILE}")]
    return nearest(folder.name, beside)


def _parsed(content: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(content.decode())
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _checksum(manifest: dict[str, Any]) -> str:
    rest = {key: value for key, value in manifest.items() if key != "checksum"}
    return sha256_of_bytes(json.dumps(rest, sort_keys=True, separators=(",", ":")).encode())


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    if isinstance(value, Path):
        return str(value)
    if hasattr(value, "tolist"):  # numpy's scalars and arrays
        return _plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if value is None or isinstance(value, str | int | float):
        return value
    raise ValueError(f"{value!r} is a {type(value).__name__}; a manifest holds plain values")

"""Signature of a bundle's manifest (Ed25519), by which everybody with the public key knows whose bundle it is.

`manifest.json.sig` holds the 64 bytes of the signature of `manifest.json`, which holds the hash of every other file:

    openssl pkeyutl -verify -pubin -inkey public.pem -rawin -in manifest.json -sigfile manifest.json.sig
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simtrain.errors import BundleError, SimtrainError, first_line, system_reason
from simtrain.files import write_whole

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

SIGNATURE_FILE = "manifest.json.sig"
PASSWORD = "SIMTRAIN_SIGN_PASSWORD"
"""Variable of the environment with the password of an encrypted key."""

_LONGEST_KEY = 64 * 1024
_SIGNATURE_BYTES = 64
_MAKE = "make one: openssl genpkey -algorithm ed25519 -out key.pem; openssl pkey -in key.pem -pubout -out public.pem"


@dataclass(frozen=True, kw_only=True)
class VerifyingKey:
    """A public key.

    Attributes:
        file: Where it was read.
        key: The key.
    """

    file: Path
    key: Ed25519PublicKey

    @staticmethod
    def read(file: Path) -> VerifyingKey:
        """Read a public key in PEM, as openssl writes it, or in a line, as ssh-keygen does.

        Raises:
            SimtrainError: if it cannot be read, is a private key, or no Ed25519 key.
        """
        content = _content(file, option="--signed-by")
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
        from cryptography.hazmat.primitives.serialization import load_pem_public_key, load_ssh_public_key

        if b"PRIVATE KEY" in content:
            raise SimtrainError(f"--signed-by {file}: a private key, which only --sign takes; give the public one")
        load: Callable[[bytes], Any] = load_pem_public_key if content.startswith(b"-----") else load_ssh_public_key
        try:
            key = load(content)
        except Exception as error:  # cryptography's errors have no common base
            raise _unread(file, "--signed-by", "public", error) from None
        if not isinstance(key, Ed25519PublicKey):
            raise SimtrainError(f"--signed-by {file}: is no Ed25519 key; {_MAKE}")
        return VerifyingKey(file=file, key=key)

    def check(self, manifest: Path, content: bytes) -> None:
        """See that a manifest is signed with this key.

        Args:
            manifest: Its path.
            content: What has been read there.

        Raises:
            BundleError: if it is not.
        """
        from cryptography.exceptions import InvalidSignature

        path = manifest.with_name(SIGNATURE_FILE)
        if not path.is_file():
            raise BundleError(f"{path}: missing: the bundle is not signed, and {self.file} was asked for")
        try:
            with path.open("rb") as file:
                signature = file.read(_SIGNATURE_BYTES + 1)
        except OSError as error:
            raise BundleError(f"{path}: cannot be read: {system_reason(error)}") from None
        try:
            self.key.verify(signature, content)
        except InvalidSignature:
            raise BundleError(
                f"{path}: not a signature of {self.file} over this manifest: it was altered, or signed with another key"
            ) from None


@dataclass(frozen=True, kw_only=True)
class SigningKey:
    """A private key.

    Attributes:
        file: Where it was read.
        key: The key.
    """

    file: Path
    key: Ed25519PrivateKey

    @staticmethod
    def read(file: Path) -> SigningKey:
        """Read a private key in PEM, as openssl or ssh-keygen writes it; its password is in the environment.

        Raises:
            SimtrainError: if it cannot be read, is encrypted with another password, or no Ed25519 key.
        """
        content = _content(file, option="--sign")
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
        from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_ssh_private_key

        load: Any = load_ssh_private_key if b"OPENSSH PRIVATE KEY" in content else load_pem_private_key
        try:
            key = load(content, password=None)
        except TypeError:  # it is encrypted
            key = _decrypted(lambda password: load(content, password=password), file)
        except Exception as error:  # cryptography's errors have no common base
            raise _unread(file, "--sign", "private", error) from None
        if not isinstance(key, Ed25519PrivateKey):
            raise SimtrainError(f"--sign {file}: is no Ed25519 key; {_MAKE}")
        return SigningKey(file=file, key=key)

    @property
    def public(self) -> VerifyingKey:
        """The public key that belongs to it."""
        return VerifyingKey(file=self.file, key=self.key.public_key())

    def sign(self, manifest: Path) -> None:
        """Write the signature of a manifest beside it.

        Raises:
            OSError: if it cannot be written.
        """
        write_whole(manifest.with_name(SIGNATURE_FILE), self.key.sign(manifest.read_bytes()))


def _content(file: Path, *, option: str) -> bytes:
    try:
        import cryptography  # noqa: F401 - of an extra
    except ModuleNotFoundError:
        raise SimtrainError(f"{option}: cryptography: not installed; run: pip install 'simtrain[sign]'") from None
    try:
        with file.open("rb") as opened:
            return opened.read(_LONGEST_KEY)
    except OSError as error:
        raise SimtrainError(f"{option} {file}: cannot be read: {system_reason(error)}") from None


def _decrypted(load: Callable[[bytes], Any], file: Path) -> Any:
    password = os.environ.get(PASSWORD)
    if not password:
        raise SimtrainError(f"--sign {file}: is encrypted; set {PASSWORD} to its password")
    try:
        return load(password.encode())
    except ValueError:
        raise SimtrainError(f"--sign {file}: {PASSWORD} is not its password") from None
    except Exception as error:  # such as a way of encryption that needs another package
        raise _unread(file, "--sign", "private", error) from None


def _unread(file: Path, option: str, kind: str, error: Exception) -> SimtrainError:
    return SimtrainError(f"{option} {file}: no {kind} key that is read here ({first_line(error, to=100)}); {_MAKE}")

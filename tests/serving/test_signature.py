"""Signatures: whose bundle it is, with keys as openssl and ssh-keygen write them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from bundle_files import files_of, forge
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from simtrain.errors import BundleError, SimtrainError
from simtrain.serving.bundle import Bundle
from simtrain.serving.bundle_change import changed_by_one, write_changed
from simtrain.serving.bundle_writer import BundleContent, write_bundle
from simtrain.serving.given_bundle import GivenBundle
from simtrain.serving.signature import SigningKey, VerifyingKey

WriteKeys = Callable[..., tuple[Path, Path]]
SECRET = b"a secret"


@pytest.fixture
def write_keys(tmp_path: Path) -> WriteKeys:
    """`write_keys(name, form=…, key=…, password=…)`: files of a private and a public key."""

    def write(name: str, *, form: str = "pem", key: Any = None, password: bytes | None = None) -> tuple[Path, Path]:
        made = key or Ed25519PrivateKey.generate()
        locked = BestAvailableEncryption(password) if password else NoEncryption()
        private_form = PrivateFormat.OpenSSH if form == "ssh" else PrivateFormat.PKCS8
        public = (
            made.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH) + b" ann@shop\n"
            if form == "ssh"
            else made.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        )
        private, shared = tmp_path / f"{name}.pem", tmp_path / f"{name}.pub"
        private.write_bytes(made.private_bytes(Encoding.PEM, private_form, locked))
        shared.write_bytes(public)
        return private, shared

    return write


@pytest.fixture
def keys(write_keys: WriteKeys) -> tuple[Path, Path]:
    return write_keys("ours")


@pytest.fixture
def signed(content: BundleContent, keys: tuple[Path, Path], tmp_path: Path) -> Path:
    return write_bundle(content, tmp_path / "bundle", formats=(), sign=SigningKey.read(keys[0]))


def test_the_signature_is_that_of_the_manifests_bytes(signed: Path, keys: tuple[Path, Path]) -> None:
    key = VerifyingKey.read(keys[1])
    key.key.verify((signed / "manifest.json.sig").read_bytes(), (signed / "manifest.json").read_bytes())
    assert len((signed / "manifest.json.sig").read_bytes()) == 64
    assert Bundle.open(signed, signed_by=key).fingerprint == Bundle.open(signed).fingerprint


def test_what_is_not_signed_by_the_key_is_refused_before_anything_opens(
    signed: Path, keys: tuple[Path, Path], write_keys: WriteKeys
) -> None:
    _, other = write_keys("other")
    refused = r"manifest\.json\.sig: not a signature of .*{} over this manifest: it was altered, or signed with another"
    for path in signed.rglob("*.*"):
        if "manifest" not in path.name and path.is_file():
            path.write_bytes(b"whatever")
    with pytest.raises(BundleError, match=refused.format(r"other\.pub")):
        Bundle.open(signed, signed_by=VerifyingKey.read(other))
    forge(signed, lambda manifest: None)
    with pytest.raises(BundleError, match=refused.format(r"ours\.pub")):
        Bundle.open(signed, signed_by=VerifyingKey.read(keys[1]))


@pytest.mark.parametrize("signature", [b"", b"x" * 64, b"x" * 65, b"x" * 10_000])
def test_another_signature_is_refused(signed: Path, keys: tuple[Path, Path], signature: bytes) -> None:
    (signed / "manifest.json.sig").write_bytes(signature)
    with pytest.raises(BundleError, match="not a signature of"):
        Bundle.open(signed, signed_by=VerifyingKey.read(keys[1]))


def test_a_bundle_without_a_signature_is_refused(folder: Path, keys: tuple[Path, Path]) -> None:
    with pytest.raises(
        BundleError, match=r"manifest\.json\.sig: missing: the bundle is not signed, and .*ours\.pub was"
    ):
        Bundle.open(folder, signed_by=VerifyingKey.read(keys[1]))


def test_a_signed_bundle_is_replaced_by_a_signed_one_alone(
    signed: Path, keys: tuple[Path, Path], content: BundleContent, write_keys: WriteKeys
) -> None:
    before = files_of(signed)
    with pytest.raises(BundleError, match=r"bundle: is signed, and the new one would not be: --sign KEY; to go on "):
        write_bundle(content, signed, formats=())
    with pytest.raises(BundleError, match="is signed, and the new one would not be"):
        changed_by_one(GivenBundle(folder=signed), sign=None).__enter__()
    with pytest.raises(BundleError, match="signed with another key"):
        changed_by_one(GivenBundle(folder=signed), sign=SigningKey.read(write_keys("other")[0])).__enter__()
    assert files_of(signed) == before


def test_a_change_is_signed_anew(signed: Path, keys: tuple[Path, Path]) -> None:
    key = SigningKey.read(keys[0])
    with changed_by_one(GivenBundle(folder=signed), sign=key) as bundle:
        vectors = bundle.index.vectors(bundle.items.index.to_numpy()[:9])
        items = bundle.items.iloc[:9]
        write_changed(bundle, items, vectors, change={}, pictures=bundle.pictures, sign=key)
    assert len(Bundle.open(signed, signed_by=VerifyingKey.read(keys[1])).items) == 9


def test_an_unsigned_bundle_is_not_signed_by_a_change(folder: Path, keys: tuple[Path, Path]) -> None:
    with pytest.raises(BundleError, match="the bundle is not signed"):
        changed_by_one(GivenBundle(folder=folder), sign=SigningKey.read(keys[0])).__enter__()


@pytest.mark.parametrize("form", ["pem", "ssh"])
@pytest.mark.parametrize("password", [None, SECRET])
def test_keys_of_openssl_and_ssh_are_read(
    write_keys: WriteKeys, form: str, password: bytes | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    private, public = write_keys("any", form=form, password=password)
    if password is not None:
        monkeypatch.delenv("SIMTRAIN_SIGN_PASSWORD", raising=False)
        with pytest.raises(SimtrainError, match=r"any\.pem: is encrypted; set SIMTRAIN_SIGN_PASSWORD to its password$"):
            SigningKey.read(private)
        monkeypatch.setenv("SIMTRAIN_SIGN_PASSWORD", "wrong")
        with pytest.raises(SimtrainError, match=r"any\.pem: SIMTRAIN_SIGN_PASSWORD is not its password$"):
            SigningKey.read(private)
        monkeypatch.setenv("SIMTRAIN_SIGN_PASSWORD", password.decode())
    assert SigningKey.read(private).key.public_key() == VerifyingKey.read(public).key


def test_other_files_are_refused_with_how_to_make_a_key(write_keys: WriteKeys, tmp_path: Path) -> None:
    private, public = write_keys("long", key=generate_private_key(65537, 2048))
    (tmp_path / "text").write_text("no key")
    for path in (private, tmp_path / "text", public):
        with pytest.raises(SimtrainError, match=r"^--sign .*; make one: openssl genpkey -algorithm ed25519 -out key"):
            SigningKey.read(path)
    for path in (public, tmp_path / "text"):
        with pytest.raises(SimtrainError, match=r"^--signed-by .*; make one: openssl genpkey"):
            VerifyingKey.read(path)
    with pytest.raises(SimtrainError, match=r"long\.pem: a private key, which only --sign takes; give the public one$"):
        VerifyingKey.read(private)
    with pytest.raises(SimtrainError, match=r"^--sign .*nowhere: cannot be read: No such file or directory$"):
        SigningKey.read(tmp_path / "nowhere")

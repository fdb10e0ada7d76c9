"""Paths that commands take: tildes, folders that are made, and what is no file."""

from pathlib import Path

import pytest

from simtrain.cli.arguments import expanded, make_folder_of
from simtrain.errors import SimtrainError


def test_tilde_is_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert expanded(Path("~/bundle")) == tmp_path / "bundle"
    assert expanded(Path("a/~/b")) == Path("a/~/b")
    assert expanded(None) is None


def test_folder_of_a_file_is_made(tmp_path: Path) -> None:
    make_folder_of(tmp_path / "a" / "b" / "x.json")
    assert list((tmp_path / "a" / "b").iterdir()) == []


@pytest.mark.parametrize("name", ["/dev/null", "/dev/stdout"])
def test_device_is_not_replaced(name: str) -> None:
    with pytest.raises(SimtrainError, match=r": is a device or a pipe, which would be replaced; name a file$"):
        make_folder_of(Path(name))


def test_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(SimtrainError, match=r": is a folder; expected the name of a file$"):
        make_folder_of(tmp_path)


def test_file_in_the_place_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    with pytest.raises(SimtrainError, match=r"a/x\.json: cannot be written: "):
        make_folder_of(tmp_path / "a" / "x.json")

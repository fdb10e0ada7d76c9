"""Paths that commands take: tildes, folders that are made, and what is no file."""

from pathlib import Path

import pytest

from simtrain.cli.arguments import expanded, output_file
from simtrain.errors import SimtrainError


def test_tilde_is_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert expanded(Path("~/bundle")) == tmp_path / "bundle"
    assert expanded(Path("a/~/b")) == Path("a/~/b")
    assert expanded(None) is None


def test_folder_of_a_file_is_made_and_is_gone_where_the_command_fails(tmp_path: Path) -> None:
    with output_file(tmp_path / "a" / "b" / "x.json"):
        assert list((tmp_path / "a" / "b").iterdir()) == []
    with pytest.raises(SimtrainError, match=r"^no$"), output_file(tmp_path / "c" / "x.json"):
        raise SimtrainError("no")
    assert sorted(tmp_path.rglob("*")) == [tmp_path / "a", tmp_path / "a" / "b"]


@pytest.mark.parametrize("name", ["/dev/null", "/dev/stdout"])
def test_device_is_not_replaced(name: str) -> None:
    with (
        pytest.raises(SimtrainError, match=r": is a device or a pipe, which would be replaced; name a file$"),
        output_file(Path(name)),
    ):
        raise AssertionError("entered")


def test_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(SimtrainError, match=r": is a folder; expected the name of a file$"), output_file(tmp_path):
        raise AssertionError("entered")


def test_file_in_the_place_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    with pytest.raises(SimtrainError, match=r"a/x\.json: cannot be written: "), output_file(tmp_path / "a" / "x.json"):
        raise AssertionError("entered")

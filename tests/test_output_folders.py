"""Folders that are made for what a command writes, and what is left of them where it fails."""

import os
from pathlib import Path

import pytest

from simtrain.errors import CheckpointError
from simtrain.output_folders import output_folder, why_not_writable


def test_a_block_that_ends_well_keeps_the_folder(tmp_path: Path) -> None:
    with output_folder(tmp_path / "a" / "b", told_as="--out a/b"):
        assert (tmp_path / "a" / "b").is_dir()
    assert list((tmp_path / "a" / "b").iterdir()) == []


@pytest.mark.parametrize("failure", [ValueError("no"), KeyboardInterrupt()])
def test_a_block_that_fails_leaves_no_empty_folder(tmp_path: Path, failure: BaseException) -> None:
    (tmp_path / "there").mkdir()
    with pytest.raises(type(failure)), output_folder(tmp_path / "there" / "a" / "b", told_as="--out b"):
        raise failure
    with pytest.raises(type(failure)), output_folder(tmp_path / "there", told_as="--out there"):
        raise failure
    assert list(tmp_path.rglob("*")) == [tmp_path / "there"]


def test_what_the_block_has_written_stays(tmp_path: Path) -> None:
    def write_and_fail() -> None:
        with output_folder(tmp_path / "a" / "b", told_as="--out b"):
            (tmp_path / "a" / "kept").write_text("kept")
            raise ValueError("no")

    with pytest.raises(ValueError, match=r"^no$"):
        write_and_fail()
    assert sorted(tmp_path.rglob("*")) == [tmp_path / "a", tmp_path / "a" / "kept"]


def test_a_file_in_the_place_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("kept")
    entered = False
    with (
        pytest.raises(CheckpointError, match=r"^--out a/b: cannot be written: Not a directory$"),
        output_folder(tmp_path / "a" / "b", told_as="--out a/b", error=CheckpointError),
    ):
        entered = True
    assert not entered
    assert (tmp_path / "a").read_text() == "kept"


def test_why_a_folder_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    assert why_not_writable(tmp_path / "new" / "newer") is None
    assert why_not_writable(tmp_path / "file" / "new") == f"{tmp_path / 'file'} is a file"
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    assert why_not_writable(tmp_path / "new") == f"{tmp_path} cannot be written to"

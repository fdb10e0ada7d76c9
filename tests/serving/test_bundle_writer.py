"""Writing a bundle whole or not at all."""

import os
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from bundle_files import Factory, files_of

from simtrain import files
from simtrain.encoders.base import Encoder
from simtrain.errors import BundleError
from simtrain.serving import bundle_writer
from simtrain.serving.bundle import Bundle
from simtrain.serving.bundle_place import check_target
from simtrain.serving.bundle_writer import BundleContent, write_bundle


def test_whoever_may_read_one_file_may_read_all(folder: Path) -> None:
    assert len({path.stat().st_mode for path in folder.rglob("*") if path.is_file()}) == 1


def test_thresholds_or_the_reason_for_none_are_given(content: BundleContent, tmp_path: Path) -> None:
    for changes in ({"no_thresholds": None}, {"thresholds": {"levels": []}}):
        with pytest.raises(ValueError, match=r"^give either thresholds, or no_thresholds: why there are none$"):
            write_bundle(replace(content, **changes), tmp_path / "bundle", formats=())


def test_an_encoder_in_training_is_stored_evaluating_and_left_as_it_was(
    content: BundleContent, make_encoder: Callable[..., Encoder], factory: Factory, tmp_path: Path
) -> None:
    encoder = make_encoder(seed=1).train()
    write_bundle(replace(content, encoder=encoder), tmp_path / "bundle", formats=())
    assert encoder.training
    Bundle.open(tmp_path / "bundle").load_encoder(factory)


def test_a_bundle_replaces_a_bundle(folder: Path, other_content: BundleContent) -> None:
    before = Bundle.open(folder).fingerprint
    write_bundle(other_content, folder, formats=())
    assert Bundle.open(folder).fingerprint != before
    assert sorted(path.name for path in folder.parent.iterdir()) == [f".{folder.name}.pictures.json", folder.name]


@pytest.mark.parametrize("kind", ["folder with a file", "empty folder", "file"])
def test_what_is_not_a_bundle_is_left_alone(kind: str, content: BundleContent, tmp_path: Path) -> None:
    target = tmp_path / "precious"
    if kind == "file":
        target.write_text("mine")
    else:
        target.mkdir()
        if kind == "folder with a file":
            (target / "manifest.json").write_text('{"name": "my web app"}')
    before = files_of(tmp_path)
    message = f"^{re.escape(str(target))}: exists and is not a bundle; choose another folder, or remove it first$"
    with pytest.raises(BundleError, match=message):
        check_target(target, signed=False)
    with pytest.raises(BundleError, match=message):
        write_bundle(content, target, formats=())
    assert files_of(tmp_path) == before


@pytest.mark.parametrize("error", [RuntimeError("broken"), KeyboardInterrupt()])
def test_a_failure_in_the_middle_leaves_the_target_as_it_was(
    error: BaseException, folder: Path, other_content: BundleContent, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = files_of(folder.parent)

    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(bundle_writer, "write_manifest", fail)
    with pytest.raises(type(error)):
        write_bundle(other_content, folder, formats=())
    assert files_of(folder.parent) == before
    with pytest.raises(type(error)):
        write_bundle(other_content, folder.parent / "fresh", formats=())
    assert not (folder.parent / "fresh").exists()


def test_a_failing_last_rename_puts_the_old_bundle_back(
    folder: Path, other_content: BundleContent, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = files_of(folder.parent)
    rename = Path.rename

    def fail_for_the_new_one(path: Path, target: Path) -> Path:
        if path.name.endswith(".tmp"):
            raise OSError(28, "No space left on device")
        return rename(path, target)

    monkeypatch.setattr(files, "exchanged", lambda first, second: False)
    monkeypatch.setattr(Path, "rename", fail_for_the_new_one)
    with pytest.raises(BundleError, match=r"bundle: cannot be written: No space left on device$"):
        write_bundle(other_content, folder, formats=())
    assert files_of(folder.parent) == before


def test_what_a_killed_process_left_is_in_nobodys_way(
    content: BundleContent, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(files.shutil, "rmtree", lambda *_, **__: None)  # killed: nothing is cleaned up
        patched.setattr(bundle_writer, "write_manifest", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            write_bundle(content, tmp_path / "bundle", formats=())
    assert len(list(tmp_path.iterdir())) == 1
    Bundle.open(write_bundle(content, tmp_path / "bundle", formats=()))


def test_a_place_that_cannot_be_written_is_the_users_to_mend(content: BundleContent, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    told = f"{tmp_path / 'file' / 'bundle'}: cannot be written: {tmp_path / 'file'} is a file; choose another folder"
    with pytest.raises(BundleError, match=f"^{re.escape(told)}$"):
        write_bundle(content, tmp_path / "file" / "bundle", formats=())


def test_a_place_without_write_access_is_refused_before_any_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: not (Path(path) == tmp_path and mode & os.W_OK))
    told = f"{tmp_path / 'new' / 'bundle'}: cannot be written: {tmp_path} cannot be written to; choose another folder"
    with pytest.raises(BundleError, match=f"^{re.escape(told)}$"):
        check_target(tmp_path / "new" / "bundle", signed=False)


def test_missing_parents_are_made(content: BundleContent, tmp_path: Path) -> None:
    folder = write_bundle(content, tmp_path / "a" / "b" / "bundle", formats=())
    assert folder == tmp_path / "a" / "b" / "bundle"
    assert len(Bundle.open(folder).items) == len(content.items)


def test_content_that_does_not_go_together_is_the_callers_mistake(content: BundleContent, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"^embeddings has shape \(39, 16\); items and encoder need \(40, 16\)$"):
        write_bundle(replace(content, embeddings=content.embeddings[1:]), tmp_path / "bundle", formats=())
    twice = content.items.assign(id="same")
    with pytest.raises(ValueError, match=r"^items has an id more than once; allowed: unique ids$"):
        write_bundle(replace(content, items=twice), tmp_path / "bundle", formats=())
    with pytest.raises(ValueError, match=r"^items needs the column 'path' without gaps$"):
        write_bundle(replace(content, items=content.items.drop(columns="path")), tmp_path / "bundle", formats=())

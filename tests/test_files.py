"""Whole files and folders, JSON and hashes."""

import errno
import hashlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from simtrain import files
from simtrain.errors import BundleError, CatalogError, CheckpointError, SimtrainError
from simtrain.files import (
    exchanged,
    json_text,
    read_json,
    remove_leftovers,
    replace_folder,
    sha256_if_readable,
    sha256_of_bytes,
    sha256_of_file,
    staging_folder,
    whole_file,
    write_json,
    write_together,
    write_whole,
)


def test_a_file_is_there_when_the_block_ends_and_not_before(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    with whole_file(path) as temporary:
        temporary.write_bytes(b"new")
        assert not path.exists()
        assert temporary == tmp_path / f".a.txt.{os.getpid()}.tmp"
    assert [(found.name, found.read_bytes()) for found in tmp_path.iterdir()] == [("a.txt", b"new")]


def test_a_reader_meets_the_old_file_until_the_new_one_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"old")
    with whole_file(path) as temporary:
        temporary.write_bytes(b"new")
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"


@pytest.mark.parametrize("failure", [ValueError("no"), KeyboardInterrupt(), OSError(errno.ENOSPC, "No space left")])
def test_a_block_that_fails_leaves_everything_as_it_was(tmp_path: Path, failure: BaseException) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"old")

    def fail() -> None:
        with whole_file(path) as temporary:
            temporary.write_bytes(b"half")
            raise failure

    with pytest.raises(type(failure)) as caught:
        fail()
    assert caught.value is failure
    assert [(found.name, found.read_bytes()) for found in tmp_path.iterdir()] == [("a.txt", b"old")]


def test_a_full_disk_is_told_by_the_name_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"

    def fill() -> None:
        with whole_file(path) as temporary, temporary.open("wb") as file:
            file.write(b"half")
            raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match=r"a\.txt'$") as caught:
        fill()
    assert caught.value.filename == str(path)


def test_space_is_given_back_although_a_library_has_the_file_open(tmp_path: Path) -> None:
    opened = []

    def fail() -> None:
        with whole_file(tmp_path / "a.txt") as temporary:
            temporary.write_bytes(b"half")
            opened.append(temporary.open("rb"))
            raise RuntimeError("the writer's frame still holds it")

    with pytest.raises(RuntimeError):
        fail()
    with opened[0] as file:
        assert os.fstat(file.fileno()).st_size == 0
    assert list(tmp_path.iterdir()) == []


def test_a_killed_process_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"old")
    script = (
        "import os, signal, sys; from pathlib import Path; from simtrain.files import whole_file\n"
        "with whole_file(Path(sys.argv[1])) as temporary:\n"
        "    temporary.write_bytes(b'half'); os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    assert subprocess.run([sys.executable, "-c", script, str(path)], check=False).returncode == -signal.SIGKILL
    assert path.read_bytes() == b"old"
    (left,) = (found.name for found in tmp_path.iterdir() if found != path)
    assert left.startswith(".a.txt.")


@pytest.mark.parametrize("error", [CatalogError, BundleError])
def test_a_failure_of_the_disk_is_raised_as_the_class_that_is_asked_for(
    tmp_path: Path, error: type[SimtrainError]
) -> None:
    path = tmp_path / "missing" / "a.txt"
    with pytest.raises(error) as caught:
        write_whole(path, b"new", error=error)
    assert type(caught.value) is error
    assert str(caught.value) == f"{path}: cannot be written: No such file or directory"


def test_a_folder_that_is_a_file_is_the_error_to_tell(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    path = tmp_path / "file" / "a.txt"
    with pytest.raises(SimtrainError, match=r"/file/a\.txt: cannot be written: Not a directory$"):
        write_whole(path, b"new", error=SimtrainError)


def test_without_a_class_the_error_of_the_system_comes_through(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        write_whole(tmp_path / "missing" / "a.txt", b"new")


def test_an_error_without_a_reason_of_the_system_tells_its_first_line(tmp_path: Path) -> None:
    def fail() -> None:
        with whole_file(tmp_path / "a.txt", error=SimtrainError):
            raise OSError("the disk\nis full")

    with pytest.raises(SimtrainError, match=r"/a\.txt: cannot be written: the disk$"):
        fail()


def test_synced_content_is_on_the_disk_before_the_file_takes_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, synced = tmp_path / "a.txt", []
    monkeypatch.setattr(os, "fsync", lambda number: synced.append((os.fstat(number).st_ino, path.exists())))
    with whole_file(path, sync=True) as temporary:
        temporary.write_bytes(b"new")
    assert synced == [(path.stat().st_ino, False)]
    write_whole(tmp_path / "b.txt", b"new")
    assert len(synced) == 1


def test_a_staging_folder_becomes_the_target_by_its_rename(tmp_path: Path) -> None:
    target = tmp_path / "new" / "bundle"
    with staging_folder(target) as staging:
        (staging / "a.txt").write_bytes(b"a")
        assert staging == tmp_path / "new" / f".bundle.{os.getpid()}.tmp"
        staging.rename(target)
    assert [found.name for found in target.parent.iterdir()] == ["bundle"]
    assert (target / "a.txt").read_bytes() == b"a"


def test_a_staging_folder_that_is_not_renamed_is_removed(tmp_path: Path) -> None:
    def fail() -> None:
        with staging_folder(tmp_path / "bundle") as staging:
            (staging / "deep").mkdir()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert list(tmp_path.iterdir()) == []


def test_a_staging_folder_begins_empty(tmp_path: Path) -> None:
    left = tmp_path / f".bundle.{os.getpid()}.tmp"
    left.mkdir()
    (left / "old.txt").write_bytes(b"old")
    with staging_folder(tmp_path / "bundle") as staging:
        assert list(staging.iterdir()) == []


def test_json_is_indented_unescaped_and_ends_with_a_line_break(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"name": "Größe", "values": [1, 2.5, None]})
    expected = '{\n  "name": "Größe",\n  "values": [\n    1,\n    2.5,\n    null\n  ]\n}\n'
    assert (tmp_path / "a.json").read_text(encoding="utf-8") == expected


def test_what_json_cannot_hold_leaves_the_old_file(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"a": 1})
    with pytest.raises(TypeError):
        write_json(tmp_path / "a.json", {"a": object()})
    assert json.loads((tmp_path / "a.json").read_text()) == {"a": 1}
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("content", [b"", b"abc", bytes(range(256)) * 5000], ids=["nothing", "a word", "1.3 MB"])
def test_hashes_of_bytes_and_files(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.bin").write_bytes(content)
    expected = subprocess.check_output(["sha256sum", tmp_path / "a.bin"], text=True).split()[0]
    assert sha256_of_file(tmp_path / "a.bin") == sha256_of_bytes(content) == expected
    assert expected == hashlib.sha256(content).hexdigest()


def test_the_hash_of_nothing_to_read(tmp_path: Path) -> None:
    assert sha256_if_readable(tmp_path / "missing") == ""
    (tmp_path / "a.bin").write_bytes(b"abc")
    assert sha256_if_readable(tmp_path / "a.bin") == sha256_of_bytes(b"abc")
    with pytest.raises(FileNotFoundError):
        sha256_of_file(tmp_path / "missing")


def test_json_has_no_infinity(tmp_path: Path) -> None:
    content = {"price": float("inf"), "rows": [float("-inf"), {"x": float("nan")}, (1.5, "∞")], "name": "کفش"}
    write_json(tmp_path / "x.json", content)

    def refuse(name: str) -> None:
        raise AssertionError(name)

    read = json.loads((tmp_path / "x.json").read_text(encoding="utf-8"), parse_constant=refuse)
    assert read == {"price": None, "rows": [None, {"x": None}, [1.5, "∞"]], "name": "کفش"}


def test_json_of_a_name_that_is_no_text(tmp_path: Path) -> None:
    write_json(tmp_path / "x.json", {"path": "a\udcffb"})
    assert json.loads((tmp_path / "x.json").read_bytes()) == {"path": "a\udcffb"}


def test_json_for_ascii_is_json() -> None:
    text = json_text({"é": "😀"}, ascii_only=True)
    assert text.isascii()
    assert json.loads(text) == {"é": "😀"}


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "not JSON, or damaged: Expecting value: line 1 column 1 (char 0)"),
        (
            "[" * 100_000,
            "not JSON, or damaged: maximum recursion depth exceeded",
        ),
        ("[1]", "damaged: holds list where an object should be"),
        (
            "9" * 5000,
            "not JSON, or damaged: Exceeds the limit (4300 digits) for integer string conversion",
        ),
    ],
)
def test_json_that_is_damaged_is_named(tmp_path: Path, content: str, reason: str) -> None:
    path = tmp_path / "x.json"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(CheckpointError) as caught:
        read_json(path, error=CheckpointError)
    assert str(caught.value).startswith(f"{path}: {reason}")


def test_json_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="x: cannot be read: No such file or directory"):
        read_json(tmp_path / "x", error=CheckpointError)


def dead_process() -> int:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        pass
    return process.pid


def test_leftovers_of_processes_that_are_gone_are_removed_and_nothing_else(tmp_path: Path) -> None:
    dead, alive = dead_process(), os.getppid()
    (tmp_path / "a").write_text("new")
    for name in (f".a.{dead}.tmp", f".a.{dead}.old", f".a.{alive}.tmp", ".a.x.tmp", f".b.{dead}.tmp", f".a.{dead}.txt"):
        (tmp_path / name).write_text("left")
    (tmp_path / f".a.{2**40}.tmp").mkdir()  # no process has such a number
    (tmp_path / f".a.{2**40}.tmp" / "inside").write_text("left")
    remove_leftovers(tmp_path / "a")
    assert {path.name for path in tmp_path.iterdir()} == {
        "a", f".a.{alive}.tmp", ".a.x.tmp", f".b.{dead}.tmp", f".a.{dead}.txt",
    }  # fmt: skip


def test_the_old_folder_of_a_process_killed_between_two_renames_stays_where_nothing_is_in_its_place(
    tmp_path: Path,
) -> None:
    old = tmp_path / f".a.{dead_process()}.old"
    old.mkdir()
    remove_leftovers(tmp_path / "a")
    assert old.is_dir()


@pytest.mark.parametrize("writing", [whole_file, staging_folder])
def test_writing_removes_what_was_left_before(tmp_path: Path, writing: Any) -> None:
    left = tmp_path / f".a.{dead_process()}.tmp"
    left.write_text("left")
    with writing(tmp_path / "a") as temporary:
        assert not left.exists()
        if writing is whole_file:
            temporary.write_text("new")


def folder_of(path: Path, text: str) -> Path:
    path.mkdir()
    (path / "a.txt").write_text(text)
    return path


def names_and_texts(folder: Path) -> dict[str, str]:
    return {path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("in_one_step", [True, False])
def test_a_folder_takes_the_place_of_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, in_one_step: bool
) -> None:
    if not in_one_step:
        monkeypatch.setattr(files, "exchanged", lambda first, second: False)
    old = folder_of(tmp_path / f".a.{dead_process()}.old", "older")
    target = tmp_path / "a"
    for text in ("old", "new"):
        with staging_folder(target) as staging:
            (staging / "a.txt").write_text(text)
            replace_folder(staging, target)
        assert names_and_texts(tmp_path) == {"a/a.txt": text}  # also without what killed processes have left
    assert not old.exists()


def test_there_is_a_folder_at_every_moment_of_an_exchange(tmp_path: Path) -> None:
    first, second = folder_of(tmp_path / "a", "first"), folder_of(tmp_path / "b", "second")
    before, after = {"a/a.txt": "first", "b/a.txt": "second"}, {"a/a.txt": "second", "b/a.txt": "first"}
    expected = after if exchanged(first, second) else before  # not every file system can; none may do half of it
    assert names_and_texts(tmp_path) == expected
    assert exchanged(first, tmp_path / "missing") is False
    assert names_and_texts(tmp_path) == expected


def test_a_system_without_the_call_exchanges_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files.ctypes, "CDLL", lambda name: object())
    first, second = folder_of(tmp_path / "a", "first"), folder_of(tmp_path / "b", "second")
    assert exchanged(first, second) is False
    assert names_and_texts(tmp_path) == {"a/a.txt": "first", "b/a.txt": "second"}


def test_files_that_belong_together_are_all_new(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("figures.json", "page.html", "picture.png")]
    left = tmp_path / f".page.html.{dead_process()}.old"
    left.write_text("older")
    for text in ("old", "new"):
        write_together({path: f"{text} {path.name}".encode() for path in paths})
        assert names_and_texts(tmp_path) == {path.name: f"{text} {path.name}" for path in paths}


@pytest.mark.parametrize("failing", ["figures.json", "page.html"])
@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()])
def test_files_that_belong_together_are_all_old_if_one_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str, error: BaseException
) -> None:
    figures, page = tmp_path / "figures.json", tmp_path / "page.html"
    write_together({figures: b"old", page: b"old"})
    write_bytes = Path.write_bytes

    def fail(path: Path, content: bytes) -> int:
        write_bytes(path, content[:1])
        if path.name.startswith(f".{failing}."):
            raise type(error)(*error.args)
        return len(content)

    monkeypatch.setattr(Path, "write_bytes", fail)
    with pytest.raises(type(error)) as caught:
        write_together({figures: b"new", page: b"new"})
    assert names_and_texts(tmp_path) == {"figures.json": "old", "page.html": "old"}
    if isinstance(error, OSError):
        assert caught.value.filename == str(tmp_path / failing)


def test_a_first_rename_that_fails_puts_the_others_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    figures, page = tmp_path / "figures.json", tmp_path / "page.html"
    write_together({figures: b"old", page: b"old"})

    def fail(path: Path, target: Path) -> Path:
        raise OSError(errno.EIO, "Input/output error", str(path))

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(CheckpointError, match=r"figures\.json: cannot be written: Input/output error$"):
        write_together({figures: b"new", page: b"new"}, error=CheckpointError)
    assert names_and_texts(tmp_path) == {"figures.json": "old", "page.html": "old"}


@pytest.mark.parametrize("at", [1, 2, 3])
def test_files_of_two_times_are_never_beside_each_other(tmp_path: Path, at: int) -> None:
    figures, page = tmp_path / "figures.json", tmp_path / "page.html"
    write_together({figures: b"old", page: b"old"})
    script = (
        "import os, signal, sys; from pathlib import Path; from simtrain.files import write_together\n"
        "renames = iter(range(1, 9))\n"
        "def kill(event, _):\n"
        "    if event == 'os.rename' and next(renames) == int(sys.argv[2]): os.kill(os.getpid(), signal.SIGKILL)\n"
        "sys.addaudithook(kill); folder = Path(sys.argv[1])\n"
        "write_together({folder / 'figures.json': b'new', folder / 'page.html': b'new'})\n"
    )
    killed = subprocess.run([sys.executable, "-c", script, str(tmp_path), str(at)], check=False)
    assert killed.returncode == -signal.SIGKILL
    shown = {path.name: path.read_text() for path in tmp_path.iterdir() if not path.name.startswith(".")}
    assert shown == {1: {"figures.json": "old", "page.html": "old"}, 2: {"figures.json": "old"}}.get(
        at, {"figures.json": "new"}
    )
    write_together({figures: b"newer", page: b"newer"})
    assert names_and_texts(tmp_path) == {"figures.json": "newer", "page.html": "newer"}

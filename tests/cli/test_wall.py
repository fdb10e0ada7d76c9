"""The wall: what the world and libraries do to a command ends in a line and status 2, a bug in its log and status 1."""

import errno
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pyarrow as pa
import pytest
from small_commands import Command

from simtrain.cli import config as config_verb


def raising(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    """`simtrain config --schema` meets this error."""

    def fails(*_arguments: object, **_settings: object) -> str:
        raise error

    monkeypatch.setattr(config_verb.json, "dumps", fails)


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (OSError(errno.ENOLCK, "No locks available", "shop/lock"), "shop/lock: No locks available"),
        (OSError(errno.EIO, "Input/output error"), "Input/output error"),
        (pa.ArrowInvalid("Couldn't deserialize thrift"), "ArrowInvalid: Couldn't deserialize thrift"),
    ],
)
def test_what_the_world_did_is_a_line(
    simtrain: Command, monkeypatch: pytest.MonkeyPatch, error: Exception, told: str
) -> None:
    raising(monkeypatch, error)
    assert simtrain("config", "--schema") == (2, "", f"error: {told}\n")


def test_bug_is_told_with_a_log(simtrain: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    raising(monkeypatch, ValueError("k is 0; allowed: 1 or more"))
    status, shown, told = simtrain("config", "--schema")
    assert (status, shown) == (1, "")
    first, second = told.splitlines()
    assert first == "error: this is a bug, please report it: ValueError: k is 0; allowed: 1 or more"
    log = Path(second.removeprefix("its log: "))
    written = log.read_text(encoding="utf-8")
    assert log.parent == tmp_path
    assert "command: simtrain config --schema" in written
    assert written.rstrip().endswith("ValueError: k is 0; allowed: 1 or more")


def test_bug_without_a_place_for_its_log(simtrain: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    raising(monkeypatch, KeyError("x"))
    status, _, told = simtrain("config", "--schema")
    assert status == 1
    assert told.rstrip().endswith("KeyError: 'x'")


def run_with(output: int | None, *arguments: str, **variables: str) -> "subprocess.CompletedProcess[bytes]":
    command = [sys.executable, "-m", "simtrain", *arguments]
    environment = {**os.environ, **variables}
    return subprocess.run(command, stdout=output, stderr=subprocess.PIPE, env=environment, check=False)


def test_output_that_nobody_reads() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = run_with(writing, "config", "--schema")
    os.close(writing)
    assert (done.returncode, done.stderr) == (141, b"")


def test_output_that_is_closed_goes_nowhere(tmp_path: Path) -> None:
    code = (
        "import os, sys; os.close(0), os.close(1), os.close(2); sys.stdout = sys.stderr = None\n"
        "from simtrain.cli.console import set_up_output\n"
        "set_up_output(); kept = open(sys.argv[1], 'w'); print('out'); print('err', file=sys.stderr)\n"
        "sys.stdout.isatty(); kept.write(str(kept.fileno())); kept.close()\n"
    )
    done = subprocess.run([sys.executable, "-c", code, tmp_path / "kept"], capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert int((tmp_path / "kept").read_text()) > 2


def test_screen_that_knows_ascii(tmp_path: Path) -> None:
    config = tmp_path / "کفش.yaml"
    config.write_text("catalog: کفش\nencoder: {kind: pixels}\nobjective: {kind: simclr}\n", encoding="utf-8")
    done = run_with(subprocess.PIPE, "config", str(config), PYTHONIOENCODING="ascii")
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"catalog: \\u06a9\\u0641\\u0634\n" in done.stdout


def test_warnings_of_libraries_stay_off_the_screen() -> None:
    code = (
        "import sys, warnings; sys.argv[1:] = ['config', '--schema']\n"
        "from simtrain import cli\n"
        "dumps = cli.config.json.dumps\n"
        "cli.config.json.dumps = lambda *a, **k: warnings.warn('of a library') or dumps(*a, **k)\n"
        "cli.main()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert done.stderr == b""

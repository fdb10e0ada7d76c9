"""The command line before any work: quick to start, and plain about mistakes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from simtrain import cli

SMALLEST = "catalog: data/shop\nencoder: {kind: pixels}\nobjective: {kind: simclr}\n"
HEAVY = "torch torchvision pytorch_lightning timm albumentations sentence_transformers transformers faiss wandb kaggle"
WATCHED = f"""
import atexit, sys
atexit.register(lambda: print("heavy:", [name for name in {HEAVY.split()} if name in sys.modules]))
from simtrain.cli import main
main()
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "shop.yaml"
    path.write_text(SMALLEST, encoding="utf-8")
    return path


@pytest.fixture(autouse=True)
def narrow_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("NO_COLOR", "1")


def simtrain(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    """The exit status of the command, run in this process."""
    monkeypatch.setattr(sys, "argv", ["simtrain", *arguments])
    try:
        cli.main()
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (["--help"], 0),
        (["fit", "--help"], 0),
        (["config", "SHOP"], 0),
        (["config", "--schema"], 0),
        (["fit", "SHOP", "--set", "encodr.kind=timm"], 2),
    ],
)
def test_nothing_heavy_is_imported(config: Path, arguments: list[str], status: int):
    arguments = [str(config) if argument == "SHOP" else argument for argument in arguments]
    command = [sys.executable, "-c", WATCHED, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, env=dict(os.environ), check=False)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (status, "heavy: []"), done.stderr


def test_watch_sees_a_heavy_import():
    code = WATCHED.replace("from simtrain.cli import main\nmain()", "import faiss")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "heavy: ['faiss']\n"


@pytest.mark.parametrize("verb", ["", "prepare", "fit", "evaluate", "interpolate", "export", "search", "config"])
def test_help_ends_well(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], verb: str):
    assert simtrain(monkeypatch, *verb.split(), "--help") == 0
    assert "Usage: " in capsys.readouterr().out


def test_help_names_every_verb(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    simtrain(monkeypatch, "--help")
    words = capsys.readouterr().out.split()
    assert {"prepare", "fit", "evaluate", "interpolate", "export", "search", "config"} <= set(words)


def test_help_of_fit_is_short(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    simtrain(monkeypatch, "fit", "--help")
    assert len(capsys.readouterr().out.splitlines()) <= 25


def test_config_prints_yaml_that_prints_the_same(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], config: Path
):
    assert simtrain(monkeypatch, "config", str(config), "--set", "optimizer.learning_rate=1e-5") == 0
    first = capsys.readouterr().out
    assert yaml.safe_load(first)["optimizer"]["learning_rate"] == 1e-5
    config.write_text(first, encoding="utf-8")
    simtrain(monkeypatch, "config", str(config))
    assert capsys.readouterr().out == first


def test_config_schema_is_json(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    assert simtrain(monkeypatch, "config", "--schema") == 0
    assert json.loads(capsys.readouterr().out)["title"] == "RunConfig"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["fit", "SHOP", "--set", "encodr.kind=timm"], "SHOP: encodr: unknown key; did you mean 'encoder'?"),
        (["config", "SHOP", "--set", "seed"], "--set seed: expected key=value, such as optimizer.learning_rate=1e-4"),
        (["config", "FOLDER/shpo.yaml"], "FOLDER/shpo.yaml: no such configuration file; did you mean 'SHOP'?"),
        (["evaluate", "FOLDER/no/a.yaml"], "FOLDER/no/a.yaml: no such configuration file"),
        (["config"], "config: give a CONFIG.yaml, or --schema"),
        (["fit"], "fit: give a CONFIG.yaml, or --resume RUN"),
    ],
)
def test_mistake_is_one_line_and_status_2(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    config: Path,
    arguments: list[str],
    expected: str,
):
    def filled(text: str) -> str:
        return text.replace("SHOP", str(config)).replace("FOLDER", str(config.parent))

    assert simtrain(monkeypatch, *map(filled, arguments)) == 2
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", f"error: {filled(expected)}\n")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["ft"], "No such command 'ft'."),
        (["fit", "--sett", "a=1"], "No such option: --sett"),
        (["prepare"], "Missing argument 'source'."),
        (["search", "b", "-k", "many"], "Invalid value for '-k'"),
    ],
)
def test_misused_command_line_ends_with_status_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: list[str], expected: str
):
    assert simtrain(monkeypatch, *arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert expected in captured.err
    assert "Traceback" not in captured.err


@pytest.mark.parametrize("arguments", [["ft"], ["fit", "--sett", "a=1"], ["prepare"], ["search", "b", "-k", "many"]])
def test_misused_command_line_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: list[str]
):
    simtrain(monkeypatch, *arguments)
    lines = capsys.readouterr().err.splitlines()
    assert (len(lines), lines[0].startswith("error: ")) == (1, True)

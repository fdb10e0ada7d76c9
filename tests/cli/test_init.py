"""The command line as a whole: quick to start, plain about mistakes, and every verb once."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image
from small_commands import SMALL_CATALOG, Command, write_config

HEAVY = "torch torchvision pytorch_lightning timm albumentations sentence_transformers transformers faiss wandb kaggle"
WATCHED = f"""
import json, sys
from simtrain.cli import main
for arguments in json.loads(sys.argv[1]):
    sys.argv = ["simtrain", *arguments]
    try:
        main()
        status = 0
    except SystemExit as stop:
        status = stop.code
    print("watched:", status, [name for name in {HEAVY.split()} if name in sys.modules])
"""
"""Exit status of each command, and the heavy modules that are imported by then."""


@pytest.fixture(autouse=True)
def narrow_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("NO_COLOR", "1")


def test_nothing_heavy_is_imported(small_config: Path):
    shop = str(small_config)
    commands = [
        (["--help"], 0),
        (["fit", "--help"], 0),
        (["init", "--help"], 0),
        (["init", "nowhere"], 2),
        (["init", "nowhere", "--out", "x.txt"], 2),
        (["config", shop], 0),
        (["config", "--schema"], 0),
        (["config", "--explain", "trainer.freeze"], 0),
        (["config", "--explain", "trainr.freeze"], 2),
        (["config", "--reference"], 0),
        (["fit", shop, "--set", "encodr.kind=timm"], 2),
        (["export", "nowhere", "--out", "bundle"], 2),
        (["export", "start_of_nowhere", "--out", "bundle"], 2),
    ]
    watched = [sys.executable, "-c", WATCHED, json.dumps([arguments for arguments, _ in commands])]
    done = subprocess.run(watched, capture_output=True, text=True, env=dict(os.environ), check=True)
    found = [line for line in done.stdout.splitlines() if line.startswith("watched:")]
    assert found == [f"watched: {status} []" for _, status in commands], done.stderr


def test_watch_sees_a_heavy_import():
    code = WATCHED.replace("from simtrain.cli import main", "import faiss; main = sys.exit")
    done = subprocess.run([sys.executable, "-c", code, "[[]]"], capture_output=True, text=True, check=True)
    assert done.stdout == "watched: None ['faiss']\n"


@pytest.mark.parametrize(
    "verb", ["", "prepare", "init", "fit", "evaluate", "interpolate", "export", "search", "serve", "config"]
)
def test_help_ends_well(simtrain: Command, verb: str):
    status, shown, _ = simtrain(*verb.split(), "--help")
    assert status == 0
    assert "Usage: " in shown


def test_help_names_every_verb(simtrain: Command):
    words = simtrain("--help")[1].split()
    assert {"prepare", "init", "fit", "evaluate", "interpolate", "export", "search", "serve", "config"} <= set(words)


def test_help_of_fit_is_short(simtrain: Command):
    assert len(simtrain("fit", "--help")[1].splitlines()) <= 25


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["fit", "SHOP", "--set", "encodr.kind=timm"], "SHOP: encodr: unknown key; did you mean 'encoder'?"),
        (["config", "SHOP", "--set", "seed"], "--set seed: expected key=value, such as optimizer.learning_rate=1e-4"),
        (["config", "FOLDER/shpo.yaml"], "FOLDER/shpo.yaml: no such configuration file; did you mean 'SHOP'?"),
        (["evaluate", "FOLDER/no/a.yaml"], "FOLDER/no/a.yaml: no such configuration file"),
        (["config"], "config: give a CONFIG.yaml, --recipe NAME, --explain KEY, --schema or --reference"),
        (["fit"], "fit: give a CONFIG.yaml, or --resume RUN"),
        (
            ["init", "FOLDER", "--out", "SHOP"],
            "SHOP: is there already; name another file with --out, or replace it: simtrain init FOLDER --out SHOP "
            "--force",
        ),
    ],
)
def test_mistake_is_one_line_and_status_2(
    simtrain: Command,
    small_config: Path,
    arguments: list[str],
    expected: str,
):
    def filled(text: str) -> str:
        return text.replace("SHOP", str(small_config)).replace("FOLDER", str(small_config.parent))

    assert simtrain(*map(filled, arguments)) == (2, "", f"error: {filled(expected)}\n")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["ft"], "No such command 'ft'."),
        (["fit", "--sett", "a=1"], "No such option: --sett"),
        (["prepare"], "Missing argument 'source'."),
        (["search", "b", "-k", "many"], "Invalid value for '-k'"),
    ],
)
def test_misused_command_line_ends_with_status_2(simtrain: Command, arguments: list[str], expected: str):
    status, shown, error = simtrain(*arguments)
    assert (status, shown) == (2, "")
    assert expected in error
    assert "Traceback" not in error


@pytest.mark.parametrize("arguments", [["ft"], ["fit", "--sett", "a=1"], ["prepare"], ["search", "b", "-k", "many"]])
def test_misused_command_line_is_one_line(simtrain: Command, arguments: list[str]):
    lines = simtrain(*arguments)[2].splitlines()
    assert (len(lines), lines[0].startswith("error: ")) == (1, True)


@pytest.mark.slow
def test_the_whole_job(simtrain: Command, tmp_path: Path) -> None:
    write_config(tmp_path / "shop.yaml")
    assert simtrain("prepare", "synthetic:30", "--out", "catalog", *SMALL_CATALOG)[0] == 0
    assert simtrain("evaluate", "shop.yaml", "--split", "val", "--json", "before.json")[0] == 0
    status, shown, _ = simtrain("fit", "shop.yaml")
    assert status == 0
    assert shown.splitlines()[-2:] == ["run: checkpoints/shop", "next: simtrain evaluate shop"]
    status, shown, _ = simtrain("evaluate", "shop")
    assert status == 0
    assert "recall_at_1" in shown
    assert "95 % interval" in shown
    figures = json.loads((tmp_path / "checkpoints/shop/evaluation.json").read_text())
    image_metrics = {"recall_at_1", "recall_at_5", "recall_at_10", "map_at_r", "r_precision", "mrr"}
    assert set(figures["metrics"]) == image_metrics | {f"kind_{name}" for name in image_metrics}
    assert all(found["low"] <= found["mean"] <= found["high"] for found in figures["metrics"].values())
    assert simtrain("export", "shop", "--out", "bundle")[0] == 0
    query = sorted((tmp_path / "catalog/source").rglob("*.jpg"))[0]
    status, shown, _ = simtrain("search", "bundle", "--image", str(query), "-k", "3", "--plot", "found.png", "--json")
    answer = json.loads(shown)
    assert status == 0
    assert len(answer["neighbours"]) == 3
    assert (tmp_path / "catalog/source" / answer["neighbours"][0]["path"]) == query
    assert answer["neighbours"][0]["similarity"] == pytest.approx(1, abs=1e-5)
    assert Image.open(tmp_path / "found.png").size[0] > 400
    status, shown, _ = simtrain("search", "bundle", "--image", str(query), "-k", "2")
    assert status == 0
    assert query.relative_to(tmp_path / "catalog/source").as_posix() in shown
    status, _, error = simtrain("search", "bundle", "--text", "a red mug")
    assert (status, error) == (2, "error: bundle: this bundle's encoder has no text tower; search it by image\n")

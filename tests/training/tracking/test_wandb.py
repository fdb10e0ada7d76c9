"""W&B's own client: offline for real, online as far as a closed port; what it wrote is read back by its own reader."""

# Shapes: none.

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from pytorch_lightning.utilities.exceptions import SIGTERMException
from recording_console import RecordingConsole

from simtrain.training.tracking import wandb as door
from simtrain.training.tracking.wandb import IDENTITY_FILE, WandbSettings, WandbTracker, has_credentials
from simtrain.training.tracking.worst_queries import WorstQuery, show_queries

KEY = "0123456789" * 4
CLOSED_PORT = "http://127.0.0.1:9"
QUERIES = show_queries(
    [
        WorstQuery(row=1, average_precision=0.125, neighbours=(2, 3), relevant=(True, False)),
        WorstQuery(row=4, average_precision=0.5, neighbours=(5,), relevant=(False,)),
    ],
    picture=lambda row: np.full((4, 4, 3), row, np.uint8),
    ids=lambda row: f"i{row}",
)


@pytest.fixture(autouse=True)
def no_account(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith("WANDB_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("WANDB_ERROR_REPORTING", "false")  # set by the tracker too; here to be taken back afterwards
    monkeypatch.setenv("WANDB_SILENT", "true")
    monkeypatch.setenv("WANDB_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("NETRC", str(tmp_path / "no.netrc"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "run").mkdir()
    return tmp_path / "run"


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A current directory that nothing may be written to."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    yield tmp_path / "here"
    assert list((tmp_path / "here").iterdir()) == []


def settings(**changes: Any) -> WandbSettings:
    usual: dict[str, Any] = {
        "mode": "offline",
        "project": "shop",
        "entity": None,
        "tags": ("first", "second"),
        "model_artifact": False,
    }
    return WandbSettings(**{**usual, **changes})


def tracker_of(folder: Path, *, said: list[str] | None = None, **changes: Any) -> WandbTracker:
    return WandbTracker(
        settings=settings(**changes),
        folder=folder,
        name="red-mugs",
        config={"encoder": {"kind": "resnet"}, "data": {"sha256": "ab12"}},
        console=RecordingConsole(on_line=(said if said is not None else []).append),
    )


def run_folder(folder: Path) -> Path:
    (found,) = (folder / "wandb").glob("offline-run-*")
    return found


def records(path: Path, kind: str) -> list[dict[str, Any]]:
    """What `wandb leet inspect` finds in the log of a run."""
    command = [sys.executable, "-m", "wandb", "leet", "inspect", "--json", str(path)]
    told = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    lines = [json.loads(line) for line in told.splitlines()]
    return [line[kind] for line in lines if line["type"] == kind]


@pytest.mark.slow
def test_offline_figures_are_in_the_runs_folder(folder: Path, elsewhere: Path) -> None:
    said: list[str] = []
    tracker = tracker_of(folder, said=said)
    tracker.begin(step=0)
    tracker.figures({"loss": 0.5}, step=1)
    tracker.histograms({"positive_similarity": tuple(range(50))}, step=1)
    tracker.figures({"val_map_at_r": 0.25, "zero_shot_map_at_r": 0.125}, step=2)
    tracker.end(None)
    tracker.end(ValueError())
    assert said == [f"wandb: offline; send the run later with: wandb sync {run_folder(folder)}"]

    items = [record["item"] for record in records(run_folder(folder), "history")]
    assert [(item["step"], item.get("loss"), item.get("val_map_at_r")) for item in items] == [
        (1, 0.5, None),
        (1, None, None),
        (2, None, 0.25),
    ]
    assert items[1]["positive_similarity.values"] == list(range(50))
    assert items[2]["zero_shot_map_at_r"] == 0.125
    (run,) = records(run_folder(folder), "run")
    assert (run["run_id"], run["project"], run["display_name"]) == (
        json.loads((folder / IDENTITY_FILE).read_text())["id"],
        "shop",
        "red-mugs",
    )
    assert run["tags"] == ["first", "second"]
    config = run["config"]["update"]
    assert (config["encoder"], config["data"]) == ({"kind": "resnet"}, {"sha256": "ab12"})
    assert [record["exit_code"] for record in records(run_folder(folder), "exit")] == [0]


@pytest.mark.slow
def test_worst_queries_are_a_table_of_pictures_below_the_run(folder: Path, elsewhere: Path) -> None:
    tracker = tracker_of(folder)
    tracker.begin(step=0)
    tracker.queries(QUERIES, step=5)
    tracker.end(None)
    (item,) = [record["item"] for record in records(run_folder(folder), "history")]
    assert (item["worst_queries._type"], item["worst_queries.nrows"], item["step"]) == ("table-file", 2, 5)
    (artifact,) = records(run_folder(folder), "artifact")
    contents = artifact["manifest"]["contents"]
    pictures = {entry["path"] for entry in contents if entry["path"].endswith(".png")}
    assert len(pictures) == 5
    assert all(Path(entry["local_path"]).is_relative_to(folder) for entry in contents)
    (table,) = [entry["local_path"] for entry in contents if entry["path"] == "worst_queries.table.json"]
    content = json.loads(Path(table).read_text())
    assert content["columns"] == ["id", "average_precision", "query", "neighbour_1", "neighbour_2"]
    assert [row[:2] for row in content["data"]] == [["i1", 0.125], ["i4", 0.5]]
    captions = [[cell["caption"] if cell else None for cell in row[2:]] for row in content["data"]]
    assert captions == [
        ["i1", "i2 (relevant)", "i3 (not relevant)"],
        ["i4", "i5 (not relevant)", None],
    ]
    assert "WANDB_DATA_DIR" not in os.environ


@pytest.mark.slow
def test_the_model_is_kept_where_it_lies(folder: Path, elsewhere: Path) -> None:
    (folder / "best.ckpt").write_bytes(b"weights")
    tracker = tracker_of(folder, model_artifact=True)
    tracker.begin(step=0)
    tracker.end(None)
    (artifact,) = records(run_folder(folder), "artifact")
    (entry,) = artifact["manifest"]["contents"]
    assert (artifact["type"], entry["path"], entry["local_path"]) == (
        "model",
        "best.ckpt",
        str(folder / "best.ckpt"),
    )


@pytest.mark.slow
@pytest.mark.parametrize("failure", [ValueError("broken"), SIGTERMException()])
def test_a_run_that_failed_is_marked_and_keeps_no_model(folder: Path, failure: BaseException) -> None:
    (folder / "best.ckpt").write_bytes(b"weights")
    tracker = tracker_of(folder, model_artifact=True)
    tracker.begin(step=0)
    tracker.end(failure)
    assert [record["exit_code"] for record in records(run_folder(folder), "exit")] == [1]
    assert records(run_folder(folder), "artifact") == []
    assert bool(records(run_folder(folder), "preempting")) == isinstance(failure, SIGTERMException)


@pytest.mark.slow
def test_a_resumed_run_has_the_same_id_and_is_sent_in_one_command(folder: Path) -> None:
    said: list[str] = []
    for step in (0, 7):
        tracker = tracker_of(folder, said=said)
        tracker.begin(step=step)
        tracker.figures({"loss": 1.0}, step=step + 1)
        tracker.end(None)
    identity = json.loads((folder / IDENTITY_FILE).read_text())["id"]
    assert {path.name for path in (folder / "wandb").glob("offline-run-*/*.wandb")} == {f"run-{identity}.wandb"}
    first, second = sorted((folder / "wandb").glob("offline-run-*"), key=lambda path: path.name)
    assert said[1].startswith(
        f"wandb: offline; send the run later with: wandb sync {first} {second} (all parts in one "
    )


def test_disabled_by_the_environment_writes_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "disabled")
    said: list[str] = []
    tracker = tracker_of(folder, said=said)
    tracker.begin(step=0)
    tracker.figures({"loss": 0.5}, step=1)
    tracker.end(None)
    assert said == ["wandb: WANDB_MODE=disabled: nothing is written for it"]
    assert list(folder.iterdir()) == []


@pytest.mark.slow
def test_online_without_an_account_is_offline_with_the_reason(folder: Path) -> None:
    said: list[str] = []
    tracker = tracker_of(folder, said=said, mode="online")
    tracker.begin(step=0)
    tracker.figures({"loss": 0.5}, step=1)
    tracker.end(None)
    assert said == [
        "wandb: offline (there is no account on this machine: wandb login); "
        f"send the run later with: wandb sync {run_folder(folder)}"
    ]
    assert [record["item"]["loss"] for record in records(run_folder(folder), "history")] == [0.5]


@pytest.mark.slow
def test_online_without_a_network_is_offline_within_the_bound(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    monkeypatch.setenv("WANDB_BASE_URL", CLOSED_PORT)
    script = (
        "import faulthandler, sys; from pathlib import Path\n"
        "from simtrain.console import TerminalConsole\n"
        "from simtrain.training.tracking.wandb import WandbSettings, WandbTracker\n"
        "from simtrain.training.tracking import wandb as door; door._SECONDS_TO_BEGIN = 1\n"
        "faulthandler.dump_traceback_later(40, exit=True)\n"
        "settings = WandbSettings(mode='online', project='p', entity=None, tags=(), model_artifact=False)\n"
        "shown = {'name': 'n', 'config': {}, 'console': TerminalConsole()}\n"
        "tracker = WandbTracker(settings=settings, folder=Path(sys.argv[1]), **shown)\n"
        "tracker.begin(step=0); tracker.figures({'loss': 0.5}, step=1); tracker.end(None)\n"
    )
    done = subprocess.run([sys.executable, "-c", script, str(folder)], capture_output=True, text=True, timeout=60)
    (line,) = done.stdout.splitlines()
    assert line.startswith("wandb: offline (")
    assert line.endswith(f"; send the run later with: wandb sync {run_folder(folder)}")
    assert (done.returncode, done.stderr) == (0, "")
    assert [record["item"]["loss"] for record in records(run_folder(folder), "history")] == [0.5]


@pytest.mark.slow
def test_the_id_outlives_a_kill(folder: Path) -> None:
    script = (
        "import os, signal, sys; from pathlib import Path\n"
        "from simtrain.console import TerminalConsole\n"
        "from simtrain.training.tracking.wandb import WandbSettings, WandbTracker\n"
        "settings = WandbSettings(mode='offline', project='p', entity=None, tags=(), model_artifact=False)\n"
        "shown = {'name': 'n', 'config': {}, 'console': TerminalConsole()}\n"
        "tracker = WandbTracker(settings=settings, folder=Path(sys.argv[1]), **shown)\n"
        "tracker.begin(step=0); tracker.figures({'loss': 0.5}, step=1)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", script, str(folder)], capture_output=True, text=True, timeout=60)
    assert done.returncode == -signal.SIGKILL
    identity = json.loads((folder / IDENTITY_FILE).read_text())["id"]
    assert [path.name for path in run_folder(folder).glob("*.wandb")] == [f"run-{identity}.wandb"]


def test_what_the_client_raises_is_told_once_and_nothing_fails(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(**_arguments: Any) -> Any:
        raise OSError("disk full\nand more")

    monkeypatch.setattr("wandb.init", broken)
    said: list[str] = []
    tracker = tracker_of(folder, said=said)
    tracker.begin(step=0)
    tracker.figures({"loss": 0.5}, step=1)
    tracker.end(None)
    assert said == ["wandb: disk full; the run goes on without it"]


def test_a_failure_in_the_middle_of_a_run_is_told_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Run:
        dir = str(folder / "wandb" / "offline-run-x" / "files")

        def define_metric(self, *_arguments: Any, **_settings: Any) -> None: ...

        def log(self, _figures: Any) -> None:
            raise ConnectionError("the service has gone")

    monkeypatch.setattr("wandb.init", lambda **_arguments: Run())
    said: list[str] = []
    tracker = tracker_of(folder, said=said)
    tracker.begin(step=0)
    for step in (1, 2):
        tracker.figures({"loss": 0.5}, step=step)
    tracker.end(None)
    where = folder / "wandb" / "offline-run-x"
    assert said[1:] == [f"wandb: the service has gone; the run goes on without it; its files are in {where}"]


def test_online_tells_where_the_run_is(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict[str, Any]] = []

    def init(**arguments: Any) -> Any:
        asked.append(arguments)
        return SimpleNamespace(url="https://example.org/run", define_metric=lambda *_names, **_settings: None)

    monkeypatch.setenv("WANDB_API_KEY", KEY)
    monkeypatch.setattr("wandb.init", init)
    monkeypatch.setattr("wandb.setup", lambda: SimpleNamespace(settings=SimpleNamespace(base_url=CLOSED_PORT)))
    said: list[str] = []
    (folder / IDENTITY_FILE).write_text('{"id": "abcd1234"}')
    tracker_of(folder, said=said, mode="online").begin(step=3)
    assert said == ["wandb: https://example.org/run"]
    chosen = {name: asked[0][name] for name in ("id", "resume", "mode", "dir")}
    assert chosen == {"id": "abcd1234", "resume": "allow", "mode": "online", "dir": str(folder)}
    assert (asked[0]["settings"].init_timeout, asked[0]["settings"].console) == (10, "off")


@pytest.mark.parametrize("name", ["WANDB_API_KEY", "WANDB_IDENTITY_TOKEN_FILE"])
def test_a_key_in_the_environment_is_an_account(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "anything")
    assert has_credentials("https://api.wandb.ai")


def test_a_key_of_the_same_server_in_netrc_is_an_account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "netrc").write_text(f"machine api.wandb.ai login user password {KEY}\n")
    (tmp_path / "netrc").chmod(0o600)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    assert has_credentials("https://api.wandb.ai")
    assert not has_credentials("https://wandb.example.org")


def test_a_machine_without_keys_has_no_account() -> None:
    assert not has_credentials("https://api.wandb.ai")


@pytest.mark.slow
def test_nothing_of_wandb_is_imported_before_a_run_begins() -> None:
    script = (
        "import sys; from simtrain.training.tracking import run_tracking, tensorboard, wandb\n"
        "print('wandb' in sys.modules, 'tensorboard' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "False False\n"


def test_the_time_to_begin_and_to_end_is_bounded() -> None:
    assert (door._SECONDS_TO_BEGIN, door._SECONDS_TO_END) == (10, 30)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("of_settings", "of_environment", "project"),
    [(None, "mine", "mine"), ("shop", "mine", "shop"), (None, "", "simtrain")],
)
def test_the_project_is_that_of_the_settings_or_of_the_environment(
    folder: Path, monkeypatch: pytest.MonkeyPatch, of_settings: str | None, of_environment: str, project: str
) -> None:
    monkeypatch.setenv("WANDB_PROJECT", of_environment)
    tracker = tracker_of(folder, project=of_settings)
    tracker.begin(step=0)
    tracker.end(None)
    assert [run["project"] for run in records(run_folder(folder), "run")][:1] == [project]

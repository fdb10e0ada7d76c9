"""What every verb prints with `--quiet` and `--json`, and the version."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from small_commands import SMALL_CATALOG, Command, write_config
from typer.main import get_command

from simtrain import cli
from simtrain.catalog.table import Catalog
from simtrain.cli.output import plain
from simtrain.version import VERSION

ONE_BATCH = ("--set", "trainer.max_steps=1")
OWN_JSON = {"evaluate", "interpolate"}  # `--json FILE`
NO_RESULT = {"serve", "config"}  # one serves until it is ended, the other prints a file


def verbs() -> dict[str, Any]:
    """Name -> command, `index add` and the like among them."""
    found: dict[str, Any] = {}
    for name, command in get_command(cli.app).commands.items():  # type: ignore[attr-defined]
        inner = getattr(command, "commands", {})
        found |= {f"{name} {below}": one for below, one in inner.items()} if inner else {name: command}
    return found


def test_every_verb_has_the_options_that_all_have() -> None:
    found = {name: [word for option in verb.params for word in option.opts] for name, verb in verbs().items()}
    assert {"prepare", "fit", "index add", "runs delete", "search"} <= set(found)
    assert [name for name, options in found.items() if not {"--quiet", "-q"} <= set(options)] == []
    assert {name for name, options in found.items() if "--json" not in options} == NO_RESULT
    assert set(found) > OWN_JSON


def test_the_version_is_shown(simtrain: Command) -> None:
    assert simtrain("--version") == (0, f"simtrain {VERSION}\n", "")


def test_a_catalogue_as_json_and_quietly(simtrain: Command) -> None:
    arguments = ("prepare", "synthetic:6", "--out", "catalog", *SMALL_CATALOG)
    status, shown, _ = simtrain(*arguments, "--json")
    told = json.loads(shown)
    assert (status, told["catalog"], told["counts"]["images"]) == (0, "catalog", 24)
    assert told["findings"] == json.loads(Path("catalog/findings.json").read_text())["findings"]
    status, shown, aside = simtrain(*arguments, "--set", "split.val=0.3", "--quiet")
    assert (status, aside) == (0, "")
    assert shown.startswith("24 images of 6 products")


def test_a_run_and_its_figures_as_json(simtrain: Command, catalog: Catalog) -> None:
    config = write_config(Path("run.yaml"), catalog=str(catalog.folder), run="small")
    status, shown, aside = simtrain("fit", str(config), *ONE_BATCH, "--json")
    told = json.loads(shown)
    assert (status, told["status"], told["folder"]) == (0, "finished", "checkpoints/small")
    assert "zero-shot on val" in aside
    status, shown, aside = simtrain("evaluate", "small", "--json", "-")
    figures = json.loads(shown)
    assert (status, figures["split"]) == (0, "test")
    assert figures == json.loads(Path("checkpoints/small/evaluation.json").read_text())
    assert not Path("-").exists()


def test_a_quiet_run_tells_its_end_and_warnings_alone(simtrain: Command, catalog: Catalog) -> None:
    config = write_config(Path("run.yaml"), catalog=str(catalog.folder), run="small")
    status, shown, aside = simtrain("fit", str(config), *ONE_BATCH, "-q")
    lines = [line for line in shown.splitlines() if not line.startswith("warning: ")]
    assert (status, aside) == (0, "")
    assert lines[0].startswith("best map_at_r on val: ")
    assert lines[1:] == ["run: checkpoints/small", "next: simtrain evaluate small"]


def test_errors_are_told_however_quiet_it_is(simtrain: Command) -> None:
    for options in ("--quiet",), ("--json",), ("--quiet", "--json"):
        status, shown, aside = simtrain("runs", "diff", "one", "two", *options)
        assert (status, shown) == (2, "")
        assert aside.startswith("error: one: no such run in checkpoints")


def test_lists_and_runs_as_json(simtrain: Command) -> None:
    status, shown, _ = simtrain("list", "recipes", "--json")
    assert status == 0
    assert "triplet_efficientnet" in json.loads(shown)["entries"]
    Path("checkpoints").mkdir()
    status, shown, _ = simtrain("runs", "--json")
    assert (status, json.loads(shown)["runs"]) == (0, [])


@dataclass(frozen=True)
class Inner:
    folder: Path
    shares: tuple[float, ...]


@dataclass(frozen=True)
class Outer:
    inner: list[Inner]
    named: dict[str, Inner | None]


class Told:
    def to_dict(self) -> dict[str, object]:
        return {"outer": Outer(inner=[Inner(Path("a/b"), (0.5, 1.0))], named={"x": None})}


def test_what_json_holds_of_a_result() -> None:
    expected = {"outer": {"inner": [{"folder": "a/b", "shares": [0.5, 1.0]}], "named": {"x": None}}}
    assert plain(Told()) == expected
    with pytest.raises(TypeError, match=r"^value: JSON holds no set$"):
        plain({"names": {"a"}})

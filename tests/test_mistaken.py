"""Things of one kind given where another is expected, each with what helps."""

from pathlib import Path

import pytest

from simtrain.catalog.table import CATALOG_FILE
from simtrain.mistaken import Kind, mistaken
from simtrain.runs.run import CONFIG_FILE
from simtrain.serving.manifest import MANIFEST_FILE


@pytest.fixture(autouse=True)
def _things(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    things = {
        "data/shop": CATALOG_FILE,
        "checkpoints/first": CONFIG_FILE,
        "bundles/first": MANIFEST_FILE,
        "pictures": "chair.jpg",
        "first": "notes.txt",
    }
    for folder, file in things.items():
        Path(folder).mkdir(parents=True)
        Path(folder, file).write_text("run: first\ncatalog: data/shop  # of the shop\n")
    Path("shop.yaml").write_text("run: shop\n")
    Path("own.yml").write_text("catalog: data/own\n")


@pytest.mark.parametrize(
    ("given", "expected", "line"),
    [
        ("data/shop", "run", "is a catalogue, not a run; train one with: simtrain init data/shop"),
        (
            "data/shop",
            "configuration",
            "is a catalogue, not a configuration file; write one with: simtrain init data/shop",
        ),
        (
            "checkpoints/first",
            "bundle",
            "is a run, not a bundle; make one with: simtrain export checkpoints/first --out bundles/first",
        ),
        ("checkpoints/first", "catalogue", "is a run, not a catalogue; its catalogue: data/shop"),
        ("bundles/first", "run", "is a bundle, not a run"),
        ("own.yml", "catalogue", "is a configuration file, not a catalogue; its catalogue: data/own"),
        ("shop.yaml", "catalogue", "is a configuration file, not a catalogue"),
        ("shop.yaml", "run", "is a configuration file, not a run; make one with: simtrain fit shop.yaml"),
    ],
)
def test_what_was_given_and_what_helps(given: str, expected: Kind, line: str) -> None:
    assert mistaken(given, expected=expected) == f"{given}: {line}"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("data/shop", "catalogue"),
        ("checkpoints/first", "run"),
        ("shop.yaml", "configuration"),
        ("pictures", "catalogue"),
        ("missing", "run"),
        ("pictures/chair.jpg", "bundle"),
        ("nul\0character", "bundle"),
    ],
)
def test_what_is_of_the_kind_or_of_none_is_left_to_others(given: str, expected: Kind) -> None:
    assert mistaken(given, expected=expected) is None


def test_a_run_is_found_by_its_name_unless_something_else_has_it() -> None:
    assert mistaken("first", expected="bundle") is None  # a folder of this name, of another kind
    Path("first").rename("other")
    assert mistaken("first", expected="bundle") == (
        "first: is a run, not a bundle; make one with: simtrain export first --out bundles/first"
    )


def test_names_are_quoted_as_they_are_typed() -> None:
    Path("data/shop").rename("data/My shop")
    assert (mistaken("data/My shop", expected="run") or "").endswith("simtrain init 'data/My shop'")

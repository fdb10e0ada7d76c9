"""The commands of the README, typed in their order over a folder of photographs."""

import shutil
import sys
from pathlib import Path

import pytest
from documented_commands import ROOT, blocks, commands

from simtrain import cli

SHORTER = {"fit": ["--set", "trainer.max_steps=2"], "export": ["--set", "export.onnx=false"]}
NOT_RUN = {"serve": "it answers until it is ended; tests/serving/app drive it in a browser"}


def typed(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """One command, as the shell would call it; it has to end well."""
    monkeypatch.setattr(sys, "argv", ["simtrain", *words, *SHORTER.get(words[0], [])])
    with pytest.raises(SystemExit) as left:
        cli.main()
    assert left.value.code == 0, words


@pytest.mark.slow
def test_the_readme_leads_from_photographs_to_a_search(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(tmp_path)
    typed(["prepare", "synthetic:24", "--out", "rendered"], monkeypatch)
    shutil.copytree("rendered/source", "photos")
    shutil.copy(next(Path("photos").rglob("*.jpg")), "query.jpg")
    (journey,) = [
        found for text in blocks(ROOT / "README.md", "sh") if (found := commands(text)) and found[0][0] == "prepare"
    ]
    assert [words[0] for words in journey] == [
        "prepare", "init", "evaluate", "fit", "compare", "export", "search", "serve"
    ]  # fmt: skip
    for words in journey:
        if words[0] not in NOT_RUN:
            typed(words, monkeypatch)
    found = [line.split()[:2] for line in capsys.readouterr().out.splitlines()]
    assert ["1", "1.000"] in found  # the query is one of the photographs
    assert Path("data/bundle/manifest.json").is_file()

"""The commands of the README, typed in their order over a folder of photographs."""

import shutil
from pathlib import Path

import pytest
from documented_commands import ROOT, blocks, commands, type_command

SHORTER = {
    "fit": {
        "trainer.max_steps": "2",
        "data.batch_size": "8",
        "encoder.image_size": "64",
        "encoder.evaluation_image_size": "96",
        "objective.teacher_image_sizes": "[64, 96]",
    },
    "compare": {"robustness_images": "2", "draws": "1000"},
    "export": {"export.onnx": "false"},
}
NOT_RUN = {"serve": "it answers until it is ended; tests/serving/app drive it in a browser"}


def typed(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    shorter = [word for key, value in SHORTER.get(words[0], {}).items() for word in ("--set", f"{key}={value}")]
    type_command([*words, *shorter], monkeypatch)


@pytest.mark.slow
def test_the_readme_leads_from_photographs_to_a_search(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(tmp_path)
    typed(["prepare", "synthetic:16", "--out", "rendered", "--set", "synthetic.image_size=96"], monkeypatch)
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

"""The page about parts of one's own: its module, configuration, commands and Python lines, run as they stand."""

import re
import shlex
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from documented_commands import type_command
from PIL import Image

import simtrain

PAGE = Path(simtrain.__file__).parents[1] / "docs" / "own_parts.md"


def block(language: str, *, after: str) -> str:
    """The first block of a language below a heading or line."""
    rest = PAGE.read_text(encoding="utf-8").split(after, 1)[1]
    found = re.search(rf"```{language}\n(.*?)```", rest, flags=re.DOTALL)
    assert found is not None, after
    return found.group(1)


def write_photos(folder: Path) -> None:
    """32 products with 4 pictures each, of which one is the query."""
    generator = np.random.default_rng(0)
    with zipfile.ZipFile(folder / "photos.zip", "w") as archive:
        for product in range(32):
            colour = generator.integers(0, 256, 3)
            for view in range(4):
                pixels = np.clip(colour + generator.normal(0, 20, (70, 70, 3)), 0, 255).astype(np.uint8)
                Image.fromarray(pixels).save(folder / "query.jpg", quality=95)
                archive.write(folder / "query.jpg", f"chair{product}/{view}.jpg")


@pytest.mark.slow
def test_page_runs_as_it_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    write_photos(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    Path("my_parts.py").write_text(block("python", after="## A module"))
    Path("own.yaml").write_text(block("yaml", after="## The configuration"))
    first, *commands = block("sh", after="## The configuration").splitlines()
    assert first == "export PYTHONPATH=."
    for command in commands:
        program, *words = shlex.split(command)
        assert program == "simtrain"
        type_command(words, monkeypatch)
    hits = [line.split() for line in capsys.readouterr().out.splitlines() if re.match(r" +1 +1\.000 ", line)]
    assert [hit[2] for hit in hits] == ["images/00000127.jpg"]
    names: dict[str, Any] = {}
    exec(block("python", after="## Objects in Python"), names)
    vectors = [each.encode("query.jpg") for each in (names["bundle"], names["same"], names["again"].encoder())]
    np.testing.assert_allclose(vectors[0], vectors[1], atol=1e-5)
    np.testing.assert_allclose(vectors[0], vectors[2], atol=1e-5)

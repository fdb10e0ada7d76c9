"""`requirements/serve.txt` is enough: search, embed and serve in an environment where torch is not installed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib.metadata import Distribution, distribution
from importlib.util import cache_from_source
from pathlib import Path
from typing import Any

import httpx2
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from tiny_text_bundle import make_tiny_text_bundle

from simtrain.builders.saved_encoder import encoder_without_weights
from simtrain.serving.bundle import Bundle
from simtrain.serving.onnx_export import onnx_available

ROOT = Path(__file__).parents[3]
REQUIREMENTS = ROOT / "requirements" / "serve.txt"
WORDS = "یک لیوان قرمز"
LEFT_OUT = ("torch", "torchvision", "pytorch-lightning", "transformers", "sentence-transformers", "timm")


def requirements() -> list[str]:
    lines = REQUIREMENTS.read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def test_its_bounds_are_those_of_the_package() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    declared = {*project["dependencies"], *extras["serve"], *extras["export"]}
    assert set(requirements()) <= declared
    assert set(extras["serve"]) <= set(requirements())
    assert not [line for line in requirements() if line.startswith(LEFT_OUT)]


def installed(requirements: Iterable[str]) -> dict[str, Distribution]:
    """The packages that are here of requirements, and of theirs."""
    found: dict[str, Distribution] = {}
    waiting = [Requirement(line) for line in requirements]
    while waiting:
        wanted = waiting.pop()
        name = canonicalize_name(wanted.name)
        if name in found and not wanted.extras:
            continue
        found[name] = distribution(name)
        for line in found[name].requires or ():
            one = Requirement(line)
            if one.marker is None or any(one.marker.evaluate({"extra": extra}) for extra in (wanted.extras or {""})):
                waiting.append(one)
    return found


def link(place: Path, file: Path) -> None:
    """With what it was compiled to, which would take longer than the test."""
    compiled = [Path(cache_from_source(str(path))) for path in (place, file)]
    for made, there in ((place, file), compiled) if file.suffix == ".py" else ((place, file),):
        made.parent.mkdir(parents=True, exist_ok=True)
        if there.exists() and not made.exists():
            made.symlink_to(there)


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An interpreter that finds what `requirements/serve.txt` lists, by links to what is here, and simtrain."""
    folder = tmp_path_factory.mktemp("plain") / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    site = next(folder.glob("lib/python*/site-packages"))
    for package in installed(requirements()).values():
        for file in package.files or ():
            if ".." not in file.parts:
                link(site / file, Path(str(file.locate())))
    (site / "simtrain").symlink_to(ROOT / "simtrain")
    command = folder / "bin" / "simtrain"
    command.write_text(f"#!{folder}/bin/python\nfrom simtrain.cli import main\n\nmain()\n", encoding="utf-8")
    command.chmod(0o755)
    return folder / "bin" / "python"


@dataclass(frozen=True)
class Words:
    """A bundle that is searched by text, and the similarities of the three items nearest to `WORDS` by torch."""

    folder: Path
    similarities: list[float]


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> Words:
    folder = make_tiny_text_bundle(tmp_path_factory.mktemp("words"))
    vectors = Bundle.open(folder).load_encoder(encoder_without_weights).embed_texts([WORDS]).numpy()
    ((_, similarities),) = Bundle.open(folder).index.search(vectors, k=3)
    return Words(folder=folder, similarities=similarities.tolist())


def environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}


@pytest.mark.slow
@pytest.mark.skipif(not onnx_available(), reason="needs the extra 'export'")
def test_search_embed_and_serve_without_torch(
    python: Path, onnx_folder: Path, words: Words, shop: Any, tmp_path: Path
) -> None:
    run: Callable[..., Any] = subprocess.run
    missing = run([str(python), "-c", "import torch"], capture_output=True, check=False, env=environment())
    assert missing.returncode == 1
    simtrain, image = str(python.with_name("simtrain")), shop.root / "11.png"
    command = [simtrain, "search", str(onnx_folder), "--image", str(image), "-k", "3", "--json"]
    searched = run(command, capture_output=True, text=True, check=False, cwd=tmp_path, env=environment())
    assert (searched.returncode, searched.stderr) == (0, "")
    expected = [(one["id"], one["precision"]) for one in json.loads(searched.stdout)["neighbours"]]
    assert expected[0] == ("p11", 0.95)

    embed = [simtrain, "embed", str(onnx_folder), str(shop.root), "--out", "shards", "--processes", "1", "--json"]
    embedded = run(embed, capture_output=True, text=True, check=False, cwd=tmp_path, env=environment())
    assert (embedded.returncode, json.loads(embedded.stdout)["left_out"]) == (0, [])
    assert json.loads(embedded.stdout)["images"] == len(list(shop.root.glob("*.png")))

    refused = run(
        [simtrain, "search", str(onnx_folder), "--text", "red"],
        capture_output=True, text=True, check=False, cwd=tmp_path, env=environment(),
    )  # fmt: skip
    assert (refused.returncode, refused.stderr) == (
        2, f"error: {onnx_folder}: this bundle's encoder has no text tower; search it by image\n",
    )  # fmt: skip

    by_text = [simtrain, "search", str(words.folder), "--text", WORDS, "-k", "3", "--json"]
    found = run(by_text, capture_output=True, text=True, check=False, cwd=tmp_path, env=environment())
    assert (found.returncode, found.stderr) == (0, "")
    told = [one["similarity"] for one in json.loads(found.stdout)["neighbours"]]
    assert told == pytest.approx(words.similarities, abs=1e-4)

    served = subprocess.Popen(
        [simtrain, "serve", str(onnx_folder), "--port", "0"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path, env=environment(),
    )  # fmt: skip
    try:
        assert served.stdout is not None
        _, told = served.stdout.readline(), served.stdout.readline()
        url = told.split()[1]
        answer = httpx2.post(f"{url}api/search", params={"k": 3}, files={"image": image.read_bytes()}, timeout=60)
        assert [(one["id"], one["precision"]) for one in answer.json()["neighbours"]] == expected
        assert "<title>Similar products</title>" in httpx2.get(url).text
        served.send_signal(signal.SIGTERM)
        _, errors = served.communicate(timeout=60)
        assert served.returncode == 0
        assert [line.partition(":")[0] for line in errors.splitlines()] == ["pictures", "stopped"]
    finally:
        served.kill()
        served.communicate()


@pytest.mark.slow
@pytest.mark.skipif(not onnx_available(), reason="needs the extra 'export'")
def test_texts_need_no_torch(words: Words, serve_process: Callable[..., Any]) -> None:
    served = serve_process(words.folder)
    answer = httpx2.get(f"{served.url}api/search", params={"text": WORDS, "k": 3}, timeout=60).json()
    told = [one["similarity"] for one in answer["neighbours"]]
    assert told == pytest.approx(words.similarities, abs=1e-4)
    long = httpx2.get(f"{served.url}api/search", params={"text": "a mug " * 90, "k": 3}, timeout=60).json()
    assert (answer["query"]["tokens_read"], long["query"]["tokens_read"]) == (None, 77)
    status, shown, said = served.ended(signal.SIGTERM)
    assert (status, shown) == (0, "")
    assert said.splitlines()[-2:] == ["stopped", "imported: []"]

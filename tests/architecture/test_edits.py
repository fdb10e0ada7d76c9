"""Adding a part as CONTRIBUTING.md shows it: the edits apply, the parts work, also beside each other, and the files are
counted."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from documented_edits import copied_package, edited, printed_with
from PIL import Image

from simtrain.catalog.table import Catalog

RUN = """
config = {{
    "run": {name!r}, "encoder": {encoder}, "objective": {objective}, "data": {{"batch_size": 16, "workers": 0}},
    "trainer": {{"epochs": 1, "accelerator": "cpu"}}, "evaluation": {{"bootstrap_draws": 100}},
    "export": {export},
}}
run = simtrain.fit(config, catalog={catalog!r}, console=quiet)
"""
SMALL = {"kind": "timm", "model": "test_efficientnet", "weights": "none", "image_size": 32}


def run_code(catalog: Catalog, name: str, **sections: object) -> str:
    usual = {"encoder": SMALL, "objective": {"kind": "triplet"}, "export": {"onnx": False}}
    return RUN.format(**{**usual, **sections}, name=name, catalog=str(catalog.folder))


def encoder_code(catalog: Catalog) -> str:
    query = str(catalog.image_path(0))
    return run_code(catalog, "grid", encoder={"kind": "grid", "cells": 2, "embedding_size": 6}) + (
        "report = simtrain.evaluate(run, console=quiet)\n"
        "print(sorted(report.evaluation.metrics))\n"
        "bundle = run.export('bundle', console=quiet)\n"
        f"hit, = bundle.search({query!r}, k=1)\n"
        "print(hit.id, round(hit.similarity, 4))\n"
        f"print(run.encoder().encode([{query!r}]).shape)\n"
    )


def objective_code(catalog: Catalog) -> str:
    return run_code(catalog, "neighbourhood", objective={"kind": "neighbourhood", "memory": {"size": 32}}) + (
        "import torch\n"
        "from simtrain.losses.neighbourhood import NeighbourhoodLoss\n"
        "from simtrain.losses.references import within_batch\n"
        "corners = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0], [0.0, 1.0]])\n"
        "compared = within_batch(corners, torch.tensor([0, 0, 1, 1]), excluded=None)\n"
        "print(float(NeighbourhoodLoss(temperature=0.5)(compared).total))\n"
        "print((run.folder / 'metrics.csv').read_text().splitlines()[0])\n"
    )


def metric_code(catalog: Catalog) -> str:
    return (
        "vectors = [[1.0, 0.0], [0.9, 0.4], [0.95, 0.1], [0.0, 1.0]]\n"
        "found = simtrain.retrieval_metrics(vectors, ['a', 'a', 'b', 'a'], draws=100)\n"
        "print(found.metrics['ndcg_at_r'].mean)\n"
        f"report = simtrain.compare({str(catalog.folder)!r}, ['pixels', simtrain.open_run('checkpoints/grid')], "
        "overrides={'metric': 'ndcg_at_r', 'robustness_images': 0, 'draws': 1000, 'whitening': None, "
        "'pictures.map_method': 'pca', 'baseline': 'pixels'}, console=quiet)\n"
        "print(report)\n"
    )


def format_code(catalog: Catalog) -> str:
    return run_code(catalog, "program", export={"onnx": False, "program": True}) + (
        "import json\n"
        "bundle = run.export('program', console=quiet)\n"
        "print('encoder.program' in json.loads(open('program/manifest.json').read())['files'])\n"
        "print('not written' in str(bundle), 'encoder.program: not written' in str(bundle))\n"
    )


PARTS = {
    "Add an encoder": encoder_code,
    "Add an objective": objective_code,
    "Add a metric": metric_code,
    "Add an export format": format_code,
}


@dataclass(frozen=True, kw_only=True)
class Parts:
    """The package with all parts at once.

    Attributes:
        files: Section -> the files of the package that it touches.
        printed: Section -> lines that its code prints, all in one process.
    """

    files: Mapping[str, set[str]]
    printed: Mapping[str, Sequence[str]]


@pytest.fixture(scope="module")
def parts(catalog: Catalog, tmp_path_factory: pytest.TempPathFactory) -> Parts:
    folder = tmp_path_factory.mktemp("edited")
    copied_package(folder)
    files = {section: edited(section, folder) for section in PARTS}
    pieces = [f"print({f'== {section}'!r})\n{made(catalog)}" for section, made in PARTS.items()]
    lines = printed_with(folder, "\n".join(["import simtrain", "quiet = simtrain.Console()", *pieces]))
    printed: dict[str, list[str]] = {}
    for line in lines:
        if line.startswith("== "):
            printed[line[3:]] = found = []
        else:
            found.append(line)
    return Parts(files=files, printed=printed)


@pytest.mark.slow
def test_an_encoder_is_three_files(parts: Parts, catalog: Catalog) -> None:
    assert parts.files["Add an encoder"] == {
        "simtrain/encoders/grid.py", "simtrain/config/encoder.py", "simtrain/builders/encoder.py"
    }  # fmt: skip
    metrics, hit, shape = parts.printed["Add an encoder"]
    assert "map_at_r" in metrics
    assert hit == f"{catalog.rows['id'][0]} 1.0"
    assert shape == "(1, 6)"


@pytest.mark.slow
def test_an_objective_is_three_files(parts: Parts) -> None:
    assert parts.files["Add an objective"] == {
        "simtrain/losses/neighbourhood.py", "simtrain/config/objective.py", "simtrain/builders/objective.py"
    }  # fmt: skip
    loss, columns = parts.printed["Add an objective"]
    # Each anchor: its positive at cosine 0, a negative at 1, another at 0.
    assert float(loss) == pytest.approx(math.log(1 + math.exp(2) + 1), abs=1e-6)
    assert "loss" in columns


def test_a_source_is_two_files(tmp_path: Path) -> None:
    copied_package(tmp_path)
    files = edited("Add a source of images", tmp_path)
    assert files == {"simtrain/catalog/sources/path_list.py", "simtrain/catalog/sources/opening.py"}
    generator = np.random.default_rng(0)
    names = [f"{product}/{view}.png" for product in "abcdef" for view in range(2)]
    for name in names:
        (tmp_path / "shop" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(generator.integers(0, 256, (40, 40, 3), dtype=np.uint8)).save(tmp_path / "shop" / name)
    (tmp_path / "shop" / "list.txt").write_text("\n".join(names))
    code = (
        "import json, sys, simtrain\n"
        "made = simtrain.prepare('list:shop/list.txt', 'catalog', console=simtrain.Console())\n"
        "print(json.dumps([made.rows['path'].tolist(), made.rows['product'].tolist(), 'torch' in sys.modules]))\n"
    )
    paths, products, heavy = json.loads(printed_with(tmp_path, code)[-1])
    assert sorted(paths) == names
    assert [path[0] for path in paths] == products
    assert not heavy


@pytest.mark.slow
def test_a_metric_is_three_files(parts: Parts) -> None:
    evaluation = "simtrain/evaluation"
    assert parts.files["Add a metric"] == {
        f"{evaluation}/metrics.py", f"{evaluation}/chance.py", "simtrain/config/metrics.py"
    }  # fmt: skip
    mean, *table = parts.printed["Add a metric"]
    # Of the three a, with R = 2: ranks (b, a), (b, a), (a, b), so that the second, the second and the first is right.
    first, second = 1.0, 1 / math.log2(3)
    assert float(mean) == pytest.approx((second + second + first) / 3 / (first + second), abs=1e-9)
    assert any("ndcg_at_r" in line for line in table)
    assert any(line.split()[:1] == ["grid"] for line in table)


@pytest.mark.slow
def test_an_export_format_is_three_files(parts: Parts) -> None:
    serving = "simtrain/serving"
    assert parts.files["Add an export format"] == {
        f"{serving}/program_export.py", f"{serving}/export_formats.py", "simtrain/config/evaluation.py"
    }  # fmt: skip
    assert parts.printed["Add an export format"] == ["True", "True False"]

"""Adding a part as CONTRIBUTING.md shows it: the edits apply, the part works everywhere, and the files are counted."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
from documented_edits import edited_package, printed_with
from PIL import Image

from simtrain.catalog.table import Catalog

RUN = """
import simtrain
quiet = simtrain.Console()
config = {{
    "run": "new", "encoder": {encoder}, "objective": {objective}, "data": {{"batch_size": 16, "workers": 0}},
    "trainer": {{"epochs": 1, "accelerator": "cpu"}}, "evaluation": {{"bootstrap_draws": 100}},
    "export": {export},
}}
run = simtrain.fit(config, catalog={catalog!r}, console=quiet)
"""
SMALL = {"kind": "timm", "model": "test_efficientnet", "weights": "none", "image_size": 32}


def run_code(catalog: Catalog, **sections: object) -> str:
    usual = {"encoder": SMALL, "objective": {"kind": "triplet"}, "export": {"onnx": False}}
    return RUN.format(**{**usual, **sections}, catalog=str(catalog.folder))


@pytest.mark.slow
def test_an_encoder_is_three_files(catalog: Catalog, tmp_path: Path) -> None:
    files = edited_package("Add an encoder", tmp_path)
    assert files == {"simtrain/encoders/grid.py", "simtrain/config/encoder.py", "simtrain/builders/encoder.py"}
    query = catalog.image_path(0)
    code = run_code(catalog, encoder={"kind": "grid", "cells": 2, "embedding_size": 6}) + (
        "report = simtrain.evaluate(run, console=quiet)\n"
        "print(sorted(report.evaluation.metrics))\n"
        f"compared = simtrain.compare({str(catalog.folder)!r}, ['pixels', run], "
        "overrides={'robustness_images': 0, 'draws': 1000, 'whitening': None, 'baseline': 'pixels'}, console=quiet)\n"
        "print(compared.verdict(run))\n"
        "bundle = run.export('bundle', console=quiet)\n"
        f"hit, = bundle.search({str(query)!r}, k=1)\n"
        "print(hit.id, round(hit.similarity, 4))\n"
        f"print(run.encoder().encode([{str(query)!r}]).shape)\n"
    )
    metrics, *_, hit, shape = printed_with(tmp_path, code)
    assert "map_at_r" in metrics
    assert hit == f"{catalog.rows['id'][0]} 1.0"
    assert shape == "(1, 6)"


@pytest.mark.slow
def test_an_objective_is_three_files(catalog: Catalog, tmp_path: Path) -> None:
    files = edited_package("Add an objective", tmp_path)
    assert files == {
        "simtrain/losses/neighbourhood.py",
        "simtrain/config/objective.py",
        "simtrain/builders/objective.py",
    }
    code = run_code(catalog, objective={"kind": "neighbourhood", "memory": {"size": 32}}) + (
        "import torch\n"
        "from simtrain.losses.neighbourhood import NeighbourhoodLoss\n"
        "from simtrain.losses.references import within_batch\n"
        "corners = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0], [0.0, 1.0]])\n"
        "compared = within_batch(corners, torch.tensor([0, 0, 1, 1]), excluded=None)\n"
        "print(float(NeighbourhoodLoss(temperature=0.5)(compared).total))\n"
        "print((run.folder / 'metrics.csv').read_text().splitlines()[0])\n"
    )
    loss, columns = printed_with(tmp_path, code)
    # Each anchor: its positive at cosine 0, a negative at 1, another at 0.
    assert float(loss) == pytest.approx(math.log(1 + math.exp(2) + 1), abs=1e-6)
    assert "loss" in columns


def test_a_source_is_two_files(tmp_path: Path) -> None:
    files = edited_package("Add a source of images", tmp_path)
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
def test_a_metric_is_three_files(catalog: Catalog, tmp_path: Path) -> None:
    files = edited_package("Add a metric", tmp_path)
    evaluation = "simtrain/evaluation"
    assert files == {f"{evaluation}/metrics.py", f"{evaluation}/chance.py", "simtrain/config/metrics.py"}
    code = (
        "import simtrain\n"
        "vectors = [[1.0, 0.0], [0.9, 0.4], [0.95, 0.1], [0.0, 1.0]]\n"
        "found = simtrain.retrieval_metrics(vectors, ['a', 'a', 'b', 'a'], draws=100)\n"
        "print(found.metrics['ndcg_at_r'].mean)\n"
        f"report = simtrain.compare({str(catalog.folder)!r}, ['pixels', 'histogram_lab'], "
        "overrides={'metric': 'ndcg_at_r', 'robustness_images': 0, 'draws': 1000, 'whitening': None}, "
        "console=simtrain.Console())\n"
        "print(report)\n"
    )
    mean, *table = printed_with(tmp_path, code)
    # Of the three a, with R = 2: ranks (b, a), (b, a), (a, b), so that the second, the second and the first is right.
    first, second = 1.0, 1 / math.log2(3)
    assert float(mean) == pytest.approx((second + second + first) / 3 / (first + second), abs=1e-9)
    assert any("ndcg_at_r" in line for line in table)


@pytest.mark.slow
def test_an_export_format_is_three_files(catalog: Catalog, tmp_path: Path) -> None:
    files = edited_package("Add an export format", tmp_path)
    serving = "simtrain/serving"
    assert files == {f"{serving}/program_export.py", f"{serving}/export_formats.py", "simtrain/config/evaluation.py"}
    code = run_code(catalog, export={"onnx": False, "program": True}) + (
        "import json\n"
        "bundle = run.export('bundle', console=quiet)\n"
        "print('encoder.program' in json.loads(open('bundle/manifest.json').read())['files'])\n"
        "from simtrain.serving import verification\n"
        "print('not written' in str(bundle), 'encoder.program: not written' in str(bundle))\n"
    )
    assert printed_with(tmp_path, code) == ["True", "True False"]

"""Judged pairs from the configuration to the figures of `fit`, `evaluate` and `compare`."""

import hashlib
from itertools import pairwise
from pathlib import Path

import pytest
from recording_console import RecordingConsole
from small_configs import run_config

from simtrain.catalog.table import Catalog
from simtrain.commands.compare import compare
from simtrain.commands.evaluate import evaluate
from simtrain.commands.fit import fit
from simtrain.comparison.protocol import build_protocol
from simtrain.config import RunConfig, load_compare_config
from simtrain.console import SILENT
from simtrain.errors import CheckpointError
from simtrain.runs.run import open_run

NAME = "qrels (pairs.csv)"


def judged(catalog: Catalog, path: Path, *, step: int = 1) -> Path:
    """Each image is relevant to the one that stands `step` rows before it, which is mostly of its own product."""
    ids = [str(name) for name in catalog.rows["id"]]
    lines = [f"{one},{other},1" for one, other in zip(ids, ids[step:], strict=False)]
    path.write_text("\n".join(["query,item,grade", *lines, "nowhere,nothing,1"]))
    return path


def config_of(catalog: Catalog, checkpoints: Path, table: Path) -> RunConfig:
    return run_config(
        catalog,
        checkpoints,
        relevance={"qrels": str(table)},
        evaluation={"bootstrap_draws": 100, "further_relevance": ["product"]},
        trainer={"epochs": 1, "accelerator": "cpu"},
        export={"onnx": False},
    )


def test_evaluate_and_fit_count_judged_pairs_and_record_their_hash(first_catalog: Catalog, tmp_path: Path) -> None:
    table = judged(first_catalog, tmp_path / "pairs.csv")
    sha256 = hashlib.sha256(table.read_bytes()).hexdigest()
    config, console = config_of(first_catalog, tmp_path / "checkpoints", table), RecordingConsole()
    report = evaluate(config, run=None, split="test", alpha=None, console=console)
    told = report.to_dict()
    assert told["relevance"] == [NAME, f"sha256 {sha256}"]
    assert sha256[:12] in told["relevance_words"]
    assert {"map_at_r", "product_map_at_r"} <= set(told["metrics"])
    ids = first_catalog.rows["id"].astype(str).tolist()
    test = set(first_catalog.rows["id"][first_catalog.rows["split"] == "test"].astype(str))
    asked = sum(one in test and other in test for one, other in pairwise(ids))
    assert (report.evaluation.queries, report.evaluation.lone_queries) == (asked, len(test) - asked)
    (line,) = [line for line in console.lines if "pairs.csv" in line]
    assert line.endswith("ids are not in the catalogue and do not count: 'nowhere' and 'nothing'")
    folder = fit(config, resume=False, console=SILENT).folder
    run = open_run(str(folder), checkpoints=folder.parent)
    assert run.record["qrels"] == {str(table): sha256}
    judged(first_catalog, table, step=2)
    with pytest.raises(CheckpointError, match=r"the judged pairs in .*pairs\.csv have changed since the run began$"):
        fit(config, resume=True, console=SILENT)


def test_compare_judges_by_judged_pairs_beside_products(
    own_catalog: Path, first_catalog: Catalog, tmp_path: Path
) -> None:
    table = judged(first_catalog, tmp_path / "pairs.csv")
    few = ["draws=1000", "workers=0", "robustness_images=0", "pictures.map_method=pca", "pictures.queries=2"]
    few += ["encoders=[histogram_hsv]", "whitening=null", f"relevance=[{{qrels: {table}}}, product]"]
    config, console = load_compare_config(None, few), RecordingConsole()
    report = compare(own_catalog, [], config=config, console=console)
    assert report.relevance == [NAME, "product"]
    assert any("'nowhere' and 'nothing'" in line for line in console.lines)
    found = report.encoder("histogram_hsv").relevances
    assert found[NAME].metrics["map_at_r"].mean > report.encoder("chance").relevances[NAME].metrics["map_at_r"].mean
    judged(first_catalog, table, step=2)
    changed = build_protocol(config, first_catalog, [])
    assert changed.relevances[NAME].description != report.relevance_words[NAME]

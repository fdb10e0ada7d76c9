"""Exporting a run: its own catalogue, and an old bundle that outlives a bad one."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from small_commands import everything_below
from small_runs import change_splits

from simtrain.api.export import open_bundle
from simtrain.commands import export as export_module
from simtrain.commands.evaluate import evaluate
from simtrain.commands.export import export
from simtrain.config import RunConfig
from simtrain.config.tracking import TrackingConfig, WandbConfig
from simtrain.console import SILENT
from simtrain.data import embedding_precision
from simtrain.encoders.cost import ForwardCost
from simtrain.errors import BundleError, CheckpointError, SimtrainError
from simtrain.runs.run import Run
from simtrain.serving.bundle import Bundle
from simtrain.serving.given_bundle import Giving
from simtrain.serving.onnx_export import onnx_available
from simtrain.serving.onnx_query_encoder import OnnxQueryEncoder

MakeConfig = Callable[..., RunConfig]


def test_a_run_is_not_exported_with_a_catalogue_that_changed(trained: Run, own_catalog: Path, tmp_path: Path) -> None:
    change_splits(own_catalog)
    with pytest.raises(CheckpointError, match="has changed since this run was trained"):
        export(trained, out=tmp_path / "bundle", alpha=None, console=SILENT)
    assert not (tmp_path / "bundle").exists()


def changed(run: Run, **settings: object) -> Run:
    export_section = run.config.export.model_copy(update=settings)
    return replace(run, config=run.config.model_copy(update={"export": export_section}))


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"index": "IFV4,Flat"}, "export.index: FAISS has no index 'IFV4,Flat' over cosines of "),
        ({"index_memory_mib": 0}, "export.index_memory_mib: 120 items of 256 dimensions need 1 MiB "),
        (
            {"index": "Flat", "index_memory_mib": 9},
            "export.index_memory_mib: found 9 beside index 'Flat'; allowed: with index auto alone",
        ),
    ],
)
def test_an_index_that_cannot_be_is_refused_before_images_are_embedded(
    settings: dict[str, object], told: str, trained: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export_module, "embed_rows", lambda *_arguments, **_settings: 1 / 0)
    with pytest.raises(BundleError) as caught:
        export(changed(trained, **settings), out=tmp_path / "bundle", alpha=None, console=SILENT)
    assert str(caught.value).startswith(told)


def test_an_approximate_index_is_exported_with_its_recall(trained: Run, tmp_path: Path) -> None:
    result = export(changed(trained, index="ivf2,sq8"), out=tmp_path / "bundle", alpha=None, console=SILENT)
    assert "index: IVF2,SQ8, " in str(result)
    assert f"verified: reopened; most of {result.checked} images find themselves among the 10 nearest (" in str(result)
    assert "each finds itself first" not in str(result)
    assert "recall: it finds 100.0 % of the 10 nearest items of " in str(result)
    bundle = Bundle.open(tmp_path / "bundle")
    vectors = bundle.index.vectors(np.arange(bundle.index.count))
    ((_, near),) = bundle.index.search(vectors[:1], k=3)
    expected = vectors.astype(np.float64) @ vectors[0]
    np.testing.assert_allclose(near, np.sort(expected)[::-1][:3], rtol=0, atol=1e-6)


def test_no_path_of_this_machine_is_in_a_bundle_unless_asked_for(trained: Run, tmp_path: Path) -> None:
    wandb = WandbConfig(mode="offline", entity="the-secret-team")
    run = replace(trained, config=trained.config.model_copy(update={"tracking": TrackingConfig(wandb=wandb)}))
    export(run, out=tmp_path / "bundle", alpha=None, console=SILENT)
    content = b"".join(everything_below(tmp_path / "bundle").values())
    opened = Bundle.open(tmp_path / "bundle")
    root = opened.image_path(0).parents[1]
    assert opened.image_path(0).is_file()
    told = [str(place).encode() for place in (tmp_path, root, "the-secret-team")]
    assert [place for place in told if place in content] == []
    export(run, out=tmp_path / "bundle", alpha=None, giving=Giving(relocatable=False), console=SILENT)
    assert Bundle.open(tmp_path / "bundle").manifest["image_root"] == str(root)
    assert not (tmp_path / ".bundle.pictures.json").exists()


def test_a_bundle_that_was_given_away_asks_for_its_pictures(trained: Run, tmp_path: Path) -> None:
    export(trained, out=tmp_path / "bundle", alpha=None, console=SILENT)
    here = Bundle.open(tmp_path / "bundle").image_path(0)
    moved = (tmp_path / "bundle").rename(tmp_path / "moved")
    with pytest.raises(BundleError, match=r"moved: where its pictures lie is not known here; name it: --images FOLDER"):
        Bundle.open(moved).image_path(0)
    opened = open_bundle(moved, images=here.parents[1])
    assert opened.bundle.image_path(0) == here
    found = opened.search(here, k=2, plot=tmp_path / "found.png")
    assert (found.missing_pictures, found.neighbours[0].id) == (0, opened.items["id"].iat[0])
    assert open_bundle(moved).search(here, k=2, plot=tmp_path / "found.png").missing_pictures == 2
    with pytest.raises(SimtrainError, match=r"^--images .*nowhere: no such folder; name the one that the items' paths"):
        open_bundle(moved, images=tmp_path / "nowhere")


def test_smaller_copies_need_the_extra(trained: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export_module, "onnx_available", lambda: False)
    monkeypatch.setattr(export_module, "embed_rows", lambda *_arguments, **_settings: 1 / 0)
    with pytest.raises(BundleError) as caught:
        export(changed(trained, onnx_precisions=["int8"]), out=tmp_path / "bundle", alpha=None, console=SILENT)
    assert str(caught.value) == "export.onnx_precisions: needs the extra: pip install 'simtrain[export]'"


@pytest.mark.slow
@pytest.mark.skipif(not onnx_available(), reason="needs the extra 'export'")
def test_smaller_copies_are_measured_and_answer_no_search(trained: Run, tmp_path: Path) -> None:
    asked = changed(trained, onnx=True, onnx_precisions=["float16", "int8"])
    result = export(asked, out=tmp_path / "bundle", alpha=None, console=SILENT)
    lines = [line for line in str(result).splitlines() if line.endswith("; searches use encoder.onnx")]
    assert [line.split(": ")[0] for line in lines] == ["encoder.float16.onnx", "encoder.int8.onnx"]
    manifest = json.loads((tmp_path / "bundle" / "manifest.json").read_text(encoding="utf-8"))
    for name, figures in manifest["exports"].items():
        assert name in manifest["files"]
        assert figures["measured_on"] == "val"
        assert 0 <= figures["recall_at_10"] <= 1
        assert figures["recall_at_10_of_float32"] == pytest.approx(
            manifest["metrics"]["tuned"]["metrics"]["recall_at_10"]["mean"], abs=1e-6
        )
        assert figures["lowest_cosine"] > 0.9
    opened = open_bundle(tmp_path / "bundle")
    (tmp_path / "bundle" / "encoder.int8.onnx").write_bytes(b"another")
    assert isinstance(opened.searcher.encoder, OnnxQueryEncoder)
    assert opened.bundle.onnx_path == tmp_path / "bundle" / "encoder.onnx"
    with pytest.raises(BundleError, match=r"encoder\.int8\.onnx: altered or of another bundle"):
        Bundle.open(tmp_path / "bundle")


def test_a_bundle_that_fails_its_check_leaves_the_old_one(
    trained: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "bundle"
    export(trained, out=out, alpha=None, console=SILENT)
    before = {path.name: path.read_bytes() for path in out.iterdir() if path.is_file()}

    def fails(*_arguments: object, **_settings: object) -> None:
        raise BundleError("the check failed")

    monkeypatch.setattr(export_module, "verify_bundle", fails)
    with pytest.raises(BundleError, match=r"^the check failed$"):
        export(trained, out=out, alpha=None, console=SILENT)
    assert {path.name: path.read_bytes() for path in out.iterdir() if path.is_file()} == before
    there = [".bundle.pictures.json", "bundle", "checkpoints", "shop"]
    assert sorted(path.name for path in tmp_path.iterdir()) == there


def in_bf16(run: Run) -> Run:
    evaluation = run.config.evaluation.model_copy(update={"precision": "bf16"})
    return replace(run, config=run.config.model_copy(update={"evaluation": evaluation}))


def test_a_bundle_says_in_which_arithmetic_its_items_were_embedded(trained: Run, tmp_path: Path) -> None:
    out = tmp_path / "bundle"
    result = export(in_bf16(trained), out=out, alpha=None, console=SILENT)
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["embedding"] == result.arithmetic.to_dict()
    assert (manifest["embedding"]["precision"], manifest["embedding"]["images"]) == ("bf16", 64)
    assert 0.9 < manifest["embedding"]["lowest_cosine_with_float32"] < 1
    assert f"find themselves among the 10 nearest ({result.arithmetic})" in str(result)
    exact = export(trained, out=tmp_path / "exact", alpha=None, console=SILENT)
    assert json.loads((exact.folder / "manifest.json").read_text())["embedding"] == {"precision": "32"}
    one, other = Bundle.open(out), Bundle.open(exact.folder)
    assert one.fingerprint == other.fingerprint  # golden embeddings are float32
    rows = np.arange(one.index.count)
    cosines = (one.index.vectors(rows) * other.index.vectors(rows)).sum(axis=1)
    assert 0.9 < cosines.min() < 1 - 1e-6


def test_a_processor_with_bf16_instructions_evaluates_in_it_and_exports_in_float32(
    trained: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedding_precision, "_chosen", {})
    monkeypatch.setattr(embedding_precision, "has_bf16_instructions", lambda: True)
    monkeypatch.setattr(embedding_precision, "forward_cost", lambda *_, **__: ForwardCost(operations=10**9, outputs=1))
    report = evaluate(trained.config, run=trained, split="val", alpha=None, console=SILENT)
    assert report.to_dict()["embedding"]["precision"] == "bf16"
    exported = export(trained, out=tmp_path / "bundle", alpha=None, console=SILENT)
    assert json.loads((exported.folder / "manifest.json").read_text())["embedding"] == {"precision": "32"}
    assert exported.agreement == pytest.approx(1, abs=1e-6)


def test_embeddings_of_another_arithmetic_are_not_taken_over(trained: Run, tmp_path: Path) -> None:
    out = tmp_path / "bundle"
    export(in_bf16(trained), out=out, alpha=None, console=SILENT)
    again = export(trained, out=out, alpha=None, console=SILENT)
    told = f"re-used 0 of 120 embeddings of {out}: the bundle before was not embedded in float32"
    assert str(again.reuse) == told

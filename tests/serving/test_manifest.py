"""The manifest: what is listed, and what is refused."""

import os
import re
from dataclasses import replace
from importlib import metadata
from pathlib import Path

import numpy as np
from bundle_files import HASHED, forge, refuses

from simtrain.files import sha256_of_file
from simtrain.serving.bundle import Bundle
from simtrain.serving.bundle_writer import BundleContent, write_bundle
from simtrain.serving.manifest import checksum_of, is_bundle


def test_manifest_says_what_the_contract_lists(bundle: Bundle, content: BundleContent, folder: Path) -> None:
    manifest = bundle.manifest
    assert manifest["format_version"] == 4
    assert re.fullmatch(r"simtrain \d+\.\d+\.\d+", manifest["created_by"])
    assert manifest["encoder"] == {"kind": "conv", "embedding_size": 16, "config": content.encoder_config}
    assert manifest["index"]["factory"] == "Flat"
    assert (manifest["index"]["count"], manifest["index"]["recall_vs_exact"]) == (40, 1.0)
    assert manifest["metrics"] == content.metrics
    assert manifest["run"] == content.run
    assert manifest["thresholds"] is None
    assert manifest["no_thresholds"] == "not measured"
    assert manifest["libraries"]["faiss-cpu"] == metadata.version("faiss-cpu")
    assert "image_root" not in manifest
    assert manifest["files"] == {name: sha256_of_file(folder / name) for name in sorted(HASHED)}


def test_values_that_json_lacks_become_null_and_numpy_numbers_numbers(content: BundleContent, tmp_path: Path) -> None:
    metrics = {"a": float("nan"), "b": np.float32(0.5), "c": np.array([1.0, np.inf]), "d": Path("x")}
    bundle = Bundle.open(write_bundle(replace(content, metrics=metrics), tmp_path / "bundle", formats=()))
    assert bundle.manifest["metrics"] == {"a": None, "b": 0.5, "c": [1.0, None], "d": "x"}


def test_an_altered_manifest_is_refused(folder: Path) -> None:
    path = folder / "manifest.json"
    path.write_text(path.read_text(encoding="utf-8").replace('"low": 0.4', '"low": 0.5'), encoding="utf-8")
    refuses(folder, f"{path}: altered; export the bundle again")


def test_a_damaged_manifest_is_refused(folder: Path) -> None:
    path = folder / "manifest.json"
    path.write_bytes(path.read_bytes()[:-40])
    refuses(folder, f"{path}: not the manifest of a simtrain bundle, or damaged")


def test_a_pipe_is_not_waited_for(folder: Path) -> None:
    (folder / "manifest.json").unlink()
    os.mkfifo(folder / "manifest.json")
    assert not is_bundle(folder)
    assert checksum_of(folder) is None
    refuses(folder, f"{folder}: not a bundle: it has no manifest.json")


def test_a_newer_format_is_refused(folder: Path) -> None:
    path = folder / "manifest.json"
    path.write_text(path.read_text(encoding="utf-8").replace('"format_version": 4', '"format_version": 5'), "utf-8")
    refuses(folder, f"{path}: format_version is 5; this simtrain reads 1, 2, 3 and 4")


def test_a_listed_path_outside_of_the_bundle_is_refused(folder: Path) -> None:
    forge(folder, lambda manifest: manifest["files"].update({"../other": "0"}))
    refuses(folder, f"{folder / 'manifest.json'}: lists '../other', which is outside of the bundle")

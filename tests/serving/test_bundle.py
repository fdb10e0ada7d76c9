"""What a bundle keeps, and everything that it refuses."""

# Shapes: N = 40 items, D = 16.

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from simtrain.encoders.base import Encoder
from simtrain.encoders.baseline import HistogramEncoder, PixelsEncoder
from simtrain.encoders.preprocessing import Preprocessing
from simtrain.errors import BundleError
from simtrain.serving import bundle_writer
from simtrain.serving.bundle import Bundle, PromisedPrecision
from simtrain.serving.bundle_writer import BundleContent, check_target, write_bundle
from simtrain.serving.golden import golden_images
from simtrain.serving.manifest import sha256_of, write_manifest

Factory = Callable[[dict[str, Any], Preprocessing], Encoder]
HASHED = (
    "encoder/model.safetensors",
    "encoder/encoder.json",
    "encoder/golden.safetensors",
    "index.faiss",
    "items.parquet",
)


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def refuses(folder: Path, message: str) -> None:
    with pytest.raises(BundleError, match=f"^{re.escape(message)}"):
        Bundle.open(folder)


def flip_a_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def forge(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Change the manifest and make its hashes and its checksum right again, as a careless script might."""
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    manifest["files"] = {name: sha256_of(folder / name) for name in manifest["files"]}
    change(manifest)
    write_manifest(folder, {key: value for key, value in manifest.items() if key != "checksum"})


def test_holds_exactly_the_files_of_the_contract_and_no_pickle(folder: Path) -> None:
    files = files_of(folder)
    assert sorted(files) == sorted((*HASHED, "manifest.json"))
    assert not [name for name, data in files.items() if data.startswith((b"\x80", b"PK\x03\x04"))]


def test_whoever_may_read_one_file_may_read_all(folder: Path) -> None:
    assert len({path.stat().st_mode for path in folder.rglob("*") if path.is_file()}) == 1


def test_items_and_vectors_come_back_together_in_the_order_of_ids(bundle: Bundle, content: BundleContent) -> None:
    expected = content.items.sort_values("id")
    pd.testing.assert_frame_equal(bundle.items, expected.reset_index(drop=True))
    by_id = dict(zip(content.items["id"], content.embeddings, strict=True))
    stored = bundle.index.vectors(np.arange(40))
    np.testing.assert_array_equal(stored, np.stack([by_id[name] for name in bundle.items["id"]]))
    assert bundle.image_path(3) == content.root / "03.png"


def test_manifest_says_what_the_contract_lists(bundle: Bundle, content: BundleContent, folder: Path) -> None:
    manifest = bundle.manifest
    assert manifest["format_version"] == 1
    assert re.fullmatch(r"simtrain \d+\.\d+\.\d+", manifest["created_by"])
    assert manifest["encoder"] == {"kind": "conv", "embedding_size": 16, "config": content.encoder_config}
    assert manifest["index"]["factory"] == "Flat"
    assert (manifest["index"]["count"], manifest["index"]["recall_vs_exact"]) == (40, 1.0)
    assert manifest["metrics"] == content.metrics
    assert manifest["run"] == content.run
    assert manifest["thresholds"] is None
    assert manifest["no_thresholds"] == "not measured"
    assert manifest["libraries"]["faiss-cpu"] == metadata.version("faiss-cpu")
    assert manifest["image_root"] == str(content.root)
    assert manifest["files"] == {name: sha256_of(folder / name) for name in sorted(HASHED)}


def level(wanted: float, similarity: float | None, *, positives: int = 0, negatives: int = 0) -> dict[str, Any]:
    return {
        "wanted_precision": wanted, "similarity": similarity, "positives": positives, "negatives": negatives
    }  # fmt: skip


def test_thresholds_come_back_the_strictest_first(content: BundleContent, tmp_path: Path) -> None:
    levels = [level(0.9, 0.5, positives=19, negatives=1), level(0.95, 0.75, positives=12), level(0.99, None)]
    measured = {"relevance": ["product"], "levels": levels}
    folder = write_bundle(replace(content, thresholds=measured, no_thresholds=None), tmp_path / "bundle", onnx=False)
    opened = Bundle.open(folder)
    assert opened.manifest["thresholds"] == measured
    assert opened.promises == [
        PromisedPrecision(precision=0.95, similarity=0.75, pairs=12),
        PromisedPrecision(precision=0.9, similarity=0.5, pairs=20),
    ]


def test_a_bundle_of_before_promises_nothing(folder: Path) -> None:
    forge(folder, lambda manifest: manifest.pop("no_thresholds"))
    assert Bundle.open(folder).promises == []


def test_thresholds_or_the_reason_for_none_are_given(content: BundleContent, tmp_path: Path) -> None:
    for changes in ({"no_thresholds": None}, {"thresholds": {"levels": []}}):
        with pytest.raises(ValueError, match=r"^give either thresholds, or no_thresholds: why there are none$"):
            write_bundle(replace(content, **changes), tmp_path / "bundle", onnx=False)


def test_encoder_comes_back_with_its_preprocessing(bundle: Bundle, content: BundleContent, factory: Factory) -> None:
    encoder = bundle.load_encoder(factory)
    assert encoder.preprocessing == content.encoder.preprocessing
    assert not encoder.training
    pixels = torch.from_numpy(golden_images(8))
    torch.testing.assert_close(encoder.embed_pixels(pixels), content.encoder.embed_pixels(pixels))


def test_an_encoder_in_training_is_stored_evaluating_and_left_as_it_was(
    content: BundleContent, make_encoder: Callable[..., Encoder], factory: Factory, tmp_path: Path
) -> None:
    encoder = make_encoder(seed=1).train()
    write_bundle(replace(content, encoder=encoder), tmp_path / "bundle", onnx=False)
    assert encoder.training
    Bundle.open(tmp_path / "bundle").load_encoder(factory)


@pytest.mark.parametrize(
    "encoder",
    [
        PixelsEncoder(image_size=8, resize="pad"),
        HistogramEncoder(space="lab", bins=4, image_size=8, resize="squash"),
    ],
    ids=["pixels", "histogram"],
)
def test_an_encoder_without_weights_round_trips(encoder: Encoder, content: BundleContent, tmp_path: Path) -> None:
    embeddings = encoder.embed_pixels(torch.from_numpy(golden_images(8))).numpy()
    small = replace(content, encoder=encoder, embeddings=embeddings, items=content.items.iloc[:4])
    bundle = Bundle.open(write_bundle(small, tmp_path / "bundle", onnx=False))
    assert bundle.load_encoder(lambda config, prepared: encoder) is encoder


def test_values_that_json_lacks_become_null_and_numpy_numbers_numbers(content: BundleContent, tmp_path: Path) -> None:
    metrics = {"a": float("nan"), "b": np.float32(0.5), "c": np.array([1.0, np.inf]), "d": Path("x")}
    bundle = Bundle.open(write_bundle(replace(content, metrics=metrics), tmp_path / "bundle", onnx=False))
    assert bundle.manifest["metrics"] == {"a": None, "b": 0.5, "c": [1.0, None], "d": "x"}


@pytest.mark.parametrize("name", HASHED)
def test_an_altered_file_is_refused(name: str, folder: Path) -> None:
    flip_a_bit(folder / name)
    refuses(folder, f"{folder / name}: altered or of another bundle: its SHA-256 is ")


@pytest.mark.parametrize("name", HASHED)
def test_a_missing_file_is_refused(name: str, folder: Path) -> None:
    (folder / name).unlink()
    refuses(folder, f"{folder / name}: missing; export the bundle again")


def test_an_altered_manifest_is_refused(folder: Path) -> None:
    path = folder / "manifest.json"
    path.write_text(path.read_text(encoding="utf-8").replace('"low": 0.4', '"low": 0.5'), encoding="utf-8")
    refuses(folder, f"{path}: altered; export the bundle again")


def test_a_damaged_manifest_is_refused(folder: Path) -> None:
    path = folder / "manifest.json"
    path.write_bytes(path.read_bytes()[:-40])
    refuses(folder, f"{path}: not the manifest of a simtrain bundle, or damaged")


def test_a_newer_format_is_refused(folder: Path) -> None:
    path = folder / "manifest.json"
    path.write_text(path.read_text(encoding="utf-8").replace('"format_version": 1', '"format_version": 2'), "utf-8")
    refuses(folder, f"{path}: format_version is 2; this simtrain reads 1")


def test_a_folder_that_is_none_is_refused(folder: Path, tmp_path: Path) -> None:
    refuses(tmp_path / "none", f"{tmp_path / 'none'}: no such bundle; make one with: simtrain export RUN --out ")
    (folder / "manifest.json").unlink()
    refuses(folder, f"{folder}: not a bundle: it has no manifest.json")


def test_a_file_that_the_manifest_does_not_list_is_refused(folder: Path) -> None:
    (folder / "encoder.onnx").write_bytes(b"of another bundle")
    refuses(folder, f"{folder / 'encoder.onnx'}: not of this bundle: manifest.json does not list it")
    (folder / "encoder.onnx").unlink()
    forge(folder, lambda manifest: manifest["files"].pop("index.faiss"))
    refuses(folder, f"{folder / 'index.faiss'}: not of this bundle: manifest.json does not list it")


def test_a_listed_path_outside_of_the_bundle_is_refused(folder: Path) -> None:
    forge(folder, lambda manifest: manifest["files"].update({"../other": "0"}))
    refuses(folder, f"{folder / 'manifest.json'}: lists '../other', which is outside of the bundle")


@pytest.mark.parametrize(
    ("taken", "blamed"),
    [
        (("index.faiss",), "index.faiss"),
        (("index.faiss", "items.parquet"), "index.faiss"),
        (("index.faiss", "items.parquet", "manifest.json"), "encoder/golden.safetensors"),
        (("encoder/model.safetensors", "encoder/golden.safetensors"), "encoder/golden.safetensors"),
    ],
)
def test_files_of_another_bundle_are_refused(
    taken: tuple[str, ...], blamed: str, folder: Path, other_folder: Path
) -> None:
    for name in taken:
        shutil.copy(other_folder / name, folder / name)
    refuses(folder, f"{folder / blamed}: altered or of another bundle: its SHA-256 is ")


def test_an_index_of_another_encoder_is_refused_even_with_its_hashes(folder: Path, other_folder: Path) -> None:
    for name in ("index.faiss", "items.parquet"):
        shutil.copy(other_folder / name, folder / name)
    forge(folder, lambda manifest: None)
    refuses(folder, f"{folder / 'items.parquet'}: made with another encoder: its fingerprint is ")
    other = json.loads((other_folder / "manifest.json").read_text(encoding="utf-8"))
    forge(folder, lambda manifest: manifest.update(index=other["index"]))
    refuses(folder, f"{folder / 'index.faiss'}: made with another encoder: its fingerprint is ")


def test_another_preprocessing_in_the_manifest_is_another_space(folder: Path) -> None:
    forge(folder, lambda manifest: manifest["preprocessing"].update(resize="squash"))
    refuses(folder, f"{folder / 'manifest.json'}: made with another encoder: its fingerprint is ")


def test_a_network_that_computes_something_else_is_refused(bundle: Bundle, factory: Factory) -> None:
    def other_activation(config: dict[str, Any], prepared: Preprocessing) -> Encoder:
        encoder = factory(config, prepared)
        encoder.network[2] = nn.ReLU()  # type: ignore[index, operator]  # an nn.Sequential
        return encoder

    with pytest.raises(BundleError, match=r"encoder: this environment does not give the bundle's embeddings: golden "):
        bundle.load_encoder(other_activation)


def test_a_network_with_another_preprocessing_is_refused(bundle: Bundle, factory: Factory) -> None:
    with pytest.raises(BundleError, match=r"encoder\.json: the re-created encoder prepares images otherwise: "):
        bundle.load_encoder(lambda config, prepared: factory(config, replace(prepared, resize="squash")))


def test_a_network_that_the_weights_do_not_fit_is_refused(bundle: Bundle) -> None:
    with pytest.raises(BundleError, match=r"model\.safetensors: does not fit the network that its configuration makes"):
        bundle.load_encoder(lambda config, prepared: PixelsEncoderLike(prepared))


class PixelsEncoderLike(PixelsEncoder):
    """Another network under the bundle's preprocessing."""

    def __init__(self, prepared: Preprocessing) -> None:
        super().__init__(image_size=8, resize="pad")
        self.preprocessing = prepared


def test_a_bundle_replaces_a_bundle(folder: Path, other_content: BundleContent) -> None:
    before = Bundle.open(folder).fingerprint
    write_bundle(other_content, folder, onnx=False)
    assert Bundle.open(folder).fingerprint != before
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


@pytest.mark.parametrize("kind", ["folder with a file", "empty folder", "file"])
def test_what_is_not_a_bundle_is_left_alone(kind: str, content: BundleContent, tmp_path: Path) -> None:
    target = tmp_path / "precious"
    if kind == "file":
        target.write_text("mine")
    else:
        target.mkdir()
        if kind == "folder with a file":
            (target / "manifest.json").write_text('{"name": "my web app"}')
    before = files_of(tmp_path)
    message = f"^{re.escape(str(target))}: exists and is not a bundle; choose another folder, or remove it first$"
    with pytest.raises(BundleError, match=message):
        check_target(target)
    with pytest.raises(BundleError, match=message):
        write_bundle(content, target, onnx=False)
    assert files_of(tmp_path) == before


@pytest.mark.parametrize("error", [RuntimeError("broken"), KeyboardInterrupt()])
def test_a_failure_in_the_middle_leaves_the_target_as_it_was(
    error: BaseException, folder: Path, other_content: BundleContent, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = files_of(folder.parent)

    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(bundle_writer, "write_manifest", fail)
    with pytest.raises(type(error)):
        write_bundle(other_content, folder, onnx=False)
    assert files_of(folder.parent) == before
    with pytest.raises(type(error)):
        write_bundle(other_content, folder.parent / "fresh", onnx=False)
    assert not (folder.parent / "fresh").exists()


def test_a_failing_last_rename_puts_the_old_bundle_back(
    folder: Path, other_content: BundleContent, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = files_of(folder.parent)
    rename = Path.rename

    def fail_for_the_new_one(path: Path, target: Path) -> Path:
        if path.name.endswith(".tmp"):
            raise OSError(28, "No space left on device")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", fail_for_the_new_one)
    with pytest.raises(BundleError, match=r"bundle: cannot be written: No space left on device$"):
        write_bundle(other_content, folder, onnx=False)
    assert files_of(folder.parent) == before


def test_what_a_killed_process_left_is_in_nobodys_way(
    content: BundleContent, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(bundle_writer.shutil, "rmtree", lambda *_, **__: None)  # killed: nothing is cleaned up
        patched.setattr(bundle_writer, "write_manifest", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            write_bundle(content, tmp_path / "bundle", onnx=False)
    assert len(list(tmp_path.iterdir())) == 1
    Bundle.open(write_bundle(content, tmp_path / "bundle", onnx=False))


def test_a_place_that_cannot_be_written_is_the_users_to_mend(content: BundleContent, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BundleError, match=r"file/bundle: cannot be written: File exists$"):
        write_bundle(content, tmp_path / "file" / "bundle", onnx=False)


def test_missing_parents_are_made(content: BundleContent, tmp_path: Path) -> None:
    Bundle.open(write_bundle(content, tmp_path / "a" / "b" / "bundle", onnx=False))


def test_content_that_does_not_go_together_is_the_callers_mistake(content: BundleContent, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"^embeddings has shape \(39, 16\); items and encoder need \(40, 16\)$"):
        write_bundle(replace(content, embeddings=content.embeddings[1:]), tmp_path / "bundle", onnx=False)
    twice = content.items.assign(id="same")
    with pytest.raises(ValueError, match=r"^items has an id more than once; allowed: unique ids$"):
        write_bundle(replace(content, items=twice), tmp_path / "bundle", onnx=False)
    with pytest.raises(ValueError, match=r"^items needs the column 'path' without gaps$"):
        write_bundle(replace(content, items=content.items.drop(columns="path")), tmp_path / "bundle", onnx=False)


@pytest.mark.parametrize("size", [4, 8, 33, 224])
def test_golden_images_are_four_different_pictures_without_randomness(size: int) -> None:
    images = golden_images(size)
    assert images.shape == (4, size, size, 3)
    assert images.dtype == np.uint8
    np.testing.assert_array_equal(images, golden_images(size))
    assert len({image.tobytes() for image in images}) == 4
    assert all(len(np.unique(image.reshape(-1, 3), axis=0)) >= 2 for image in images)

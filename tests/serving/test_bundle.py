"""What a bundle keeps, and everything that it refuses."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from bundle_files import HASHED, Factory, files_of, forge, refuses
from torch import nn

from simtrain.encoders.base import Encoder
from simtrain.encoders.baseline import HistogramEncoder, PixelsEncoder
from simtrain.encoders.preprocessing import Preprocessing
from simtrain.errors import BundleError
from simtrain.serving.bundle import Bundle, PromisedPrecision
from simtrain.serving.bundle_writer import BundleContent, IndexSettings, write_bundle
from simtrain.serving.golden import golden_images


def flip_a_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def test_holds_exactly_the_files_of_the_contract_and_no_pickle(folder: Path) -> None:
    files = files_of(folder)
    assert sorted(files) == sorted((*HASHED, "manifest.json"))
    assert not [name for name, data in files.items() if data.startswith((b"\x80", b"PK\x03\x04"))]


def test_items_and_vectors_come_back_together_in_the_order_of_ids(bundle: Bundle, content: BundleContent) -> None:
    expected = content.items.sort_values("id")
    pd.testing.assert_frame_equal(bundle.items, expected.reset_index(drop=True))
    by_id = dict(zip(content.items["id"], content.embeddings, strict=True))
    stored = bundle.index.vectors(np.arange(40))
    np.testing.assert_array_equal(stored, np.stack([by_id[name] for name in bundle.items["id"]]))
    assert bundle.image_path(3) == content.root / "03.png"


def level(wanted: float, similarity: float | None, *, positives: int = 0, negatives: int = 0) -> dict[str, Any]:
    return {
        "wanted_precision": wanted, "similarity": similarity, "positives": positives, "negatives": negatives
    }  # fmt: skip


def test_thresholds_come_back_the_strictest_first(content: BundleContent, tmp_path: Path) -> None:
    levels = [level(0.9, 0.5, positives=19, negatives=1), level(0.95, 0.75, positives=12), level(0.99, None)]
    measured = {"relevance": ["product"], "levels": levels}
    folder = write_bundle(replace(content, thresholds=measured, no_thresholds=None), tmp_path / "bundle", formats=())
    opened = Bundle.open(folder)
    assert opened.manifest["thresholds"] == measured
    assert opened.promises == [
        PromisedPrecision(precision=0.95, similarity=0.75, pairs=12),
        PromisedPrecision(precision=0.9, similarity=0.5, pairs=20),
    ]


@pytest.mark.parametrize("thresholds", [{"relevance": None}, {"levels": 1}, [1], "levels"])
def test_damaged_thresholds_are_told(folder: Path, thresholds: object) -> None:
    forge(folder, lambda manifest: manifest.update(thresholds=thresholds))
    refuses(folder, f"{folder / 'manifest.json'}: damaged: ")


def test_a_bundle_of_before_promises_nothing(folder: Path) -> None:
    forge(folder, lambda manifest: manifest.pop("no_thresholds"))
    assert Bundle.open(folder).promises == []


def test_encoder_comes_back_with_its_preprocessing(bundle: Bundle, content: BundleContent, factory: Factory) -> None:
    encoder = bundle.load_encoder(factory)
    assert encoder.preprocessing == content.encoder.preprocessing
    assert not encoder.training
    pixels = torch.from_numpy(golden_images(8))
    torch.testing.assert_close(encoder.embed_pixels(pixels), content.encoder.embed_pixels(pixels))


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
    bundle = Bundle.open(write_bundle(small, tmp_path / "bundle", formats=()))
    assert bundle.load_encoder(lambda config, prepared: encoder) is encoder


@pytest.mark.parametrize("name", HASHED)
def test_an_altered_file_is_refused(name: str, folder: Path) -> None:
    flip_a_bit(folder / name)
    refuses(folder, f"{folder / name}: altered or of another bundle: its SHA-256 is ")


@pytest.mark.parametrize("name", HASHED)
def test_a_missing_file_is_refused(name: str, folder: Path) -> None:
    (folder / name).unlink()
    refuses(folder, f"{folder / name}: missing; export the bundle again")


def test_a_folder_that_is_none_is_refused(folder: Path, tmp_path: Path) -> None:
    refuses(tmp_path / "none", f"{tmp_path / 'none'}: no such bundle; make one with: simtrain export RUN --out ")
    near = folder.with_name(f"{folder.name}s")
    refuses(near, f"{near}: no such bundle; did you mean '{folder.name}'?")
    (folder / "manifest.json").unlink()
    refuses(folder, f"{folder}: not a bundle: it has no manifest.json")


def test_a_file_that_the_manifest_does_not_list_is_refused(folder: Path) -> None:
    (folder / "encoder.onnx").write_bytes(b"of another bundle")
    refuses(folder, f"{folder / 'encoder.onnx'}: not of this bundle: manifest.json does not list it")
    (folder / "encoder.onnx").unlink()
    forge(folder, lambda manifest: manifest["files"].pop("index.faiss"))
    refuses(folder, f"{folder / 'index.faiss'}: not of this bundle: manifest.json does not list it")


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


@pytest.mark.parametrize("error", [ValueError, AttributeError, KeyError, RuntimeError, IndexError])
def test_whatever_a_library_raises_is_told_of_the_bundle(
    bundle: Bundle, factory: Factory, error: type[Exception]
) -> None:
    def broken(config: dict[str, Any], prepared: Preprocessing) -> Encoder:
        encoder = factory(config, prepared)
        encoder.features = lambda images: (_ for _ in ()).throw(error("no such size"))  # type: ignore[method-assign]
        return encoder

    with pytest.raises(
        BundleError, match=rf"encoder: does not work as the bundle describes it: {error.__name__}: .?no"
    ):
        bundle.load_encoder(broken)


def test_a_network_with_another_preprocessing_is_refused(bundle: Bundle, factory: Factory) -> None:
    with pytest.raises(BundleError, match=r"encoder\.json: the re-created encoder prepares images otherwise: "):
        bundle.load_encoder(lambda config, prepared: factory(config, replace(prepared, resize="squash")))


def test_a_network_that_the_weights_do_not_fit_is_refused(bundle: Bundle) -> None:
    with pytest.raises(BundleError, match=r"model\.safetensors: does not fit the network that its configuration makes"):
        bundle.load_encoder(lambda config, prepared: PixelsEncoderLike(prepared))


def test_a_network_larger_than_its_weights_is_never_built(content: BundleContent, tmp_path: Path) -> None:
    larger = replace(content, encoder_config={"kind": "conv", "model": "tiny", "embedding_size": 10**9})
    bundle = Bundle.open(write_bundle(larger, tmp_path / "bundle", formats=[]))
    with pytest.raises(BundleError, match=r"encoder\.json: embedding_size is 1000000000, .* not hold: \d+ at most"):
        bundle.load_encoder(lambda *_: pytest.fail("built"))


class PixelsEncoderLike(PixelsEncoder):
    """Another network under the bundle's preprocessing."""

    def __init__(self, prepared: Preprocessing) -> None:
        super().__init__(image_size=8, resize="pad")
        self.preprocessing = prepared


@pytest.mark.parametrize(
    "name",
    [
        ".DS_Store",
        "Thumbs.db",
        "desktop.ini",
        "._model.safetensors",
        ".nfs00ab12",
        ".fuse_hidden0001",
        ".~lock.encoder.json#",
        "Icon\r",
        ".gitkeep",
        "__pycache__/a.cpython-311.pyc",
        ".ipynb_checkpoints/encoder-checkpoint.json",
        "@eaDir/model.safetensors/SYNO",
    ],
)
def test_files_that_systems_leave_are_passed_over(folder: Path, name: str) -> None:
    for place in (folder / "encoder" / name, folder / name):
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(b"")
    (folder / "._index.faiss").write_bytes(b"")
    (folder / "._encoder.onnx").write_bytes(b"")
    assert len(Bundle.open(folder).items) > 0


@pytest.mark.parametrize("name", ["other.safetensors", "modules.json", "DS_Store", "evil.py", "eaDir/a.json"])
def test_other_files_beside_the_encoder_are_refused(folder: Path, name: str) -> None:
    (folder / "encoder" / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / "encoder" / name).write_bytes(b"")
    refuses(folder, f"{folder / 'encoder' / name}: not of this bundle")


def test_index_of_other_dimensions_is_refused(folder: Path) -> None:
    forge(folder, lambda manifest: manifest["encoder"].update(embedding_size=17))
    refuses(
        folder, f"{folder / 'index.faiss'}: holds vectors of 16 dimensions; the encoder gives 17; export the bundle"
    )


@pytest.fixture
def approximate(content: BundleContent, tmp_path: Path) -> Path:
    index = IndexSettings(factory="IVF4,SQ8", wanted_recall=0.99, stored_as="float32")
    return write_bundle(replace(content, index=index), tmp_path / "approximate", formats=())


def test_an_approximate_index_comes_with_its_vectors(approximate: Path, content: BundleContent) -> None:
    assert sorted(files_of(approximate)) == sorted((*HASHED, "vectors.safetensors", "manifest.json"))
    opened = Bundle.open(approximate)
    by_id = dict(zip(content.items["id"], content.embeddings, strict=True))
    expected = np.stack([by_id[name] for name in opened.items["id"]])
    np.testing.assert_array_equal(opened.index.vectors(np.arange(40)), expected)
    for query, (rows, near) in zip(expected, opened.index.search(expected, k=40), strict=True):
        assert sorted(rows.tolist()) == list(range(40))
        np.testing.assert_allclose(near, expected[rows].astype(np.float64) @ query, rtol=0, atol=1e-7)
    described = opened.manifest["index"]
    assert described["factory"] == "IVF4,SQ8"
    assert described["recall_vs_exact"] == 1.0
    assert described["bytes_per_vector"] == (approximate / "index.faiss").stat().st_size / 40
    assert described["stored_bytes_per_vector"] == (approximate / "vectors.safetensors").stat().st_size / 40
    assert described["milliseconds_per_query"] > 0


def test_vectors_of_another_bundle_are_refused(approximate: Path, folder: Path) -> None:
    vectors = approximate / "vectors.safetensors"
    shutil.copy(vectors, folder)
    refuses(folder, f"{folder / 'vectors.safetensors'}: not of this bundle: manifest.json does not list it")
    flip_a_bit(vectors)
    refuses(approximate, f"{vectors}: altered or of another bundle: its SHA-256 is ")
    vectors.unlink()
    refuses(approximate, f"{vectors}: missing; export the bundle again")


def test_an_index_that_is_not_as_exact_as_the_manifest_says_is_refused(approximate: Path) -> None:
    forge(approximate, lambda manifest: manifest["index"].update(factory="Flat"))
    refuses(approximate, f"{approximate / 'index.faiss'}: damaged index: it is not exact; the manifest says 'Flat'")


@pytest.mark.parametrize("search", [None, {}, {"width": 0, "candidates": 10}, {"width": 2, "candidates": "10"}, []])
def test_damaged_search_settings_are_told(approximate: Path, search: object) -> None:
    forge(approximate, lambda manifest: manifest["index"].update(search=search))
    refuses(approximate, f"{approximate / 'manifest.json'}: damaged")

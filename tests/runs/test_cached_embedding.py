"""Embeddings that teachers, whitening and comparisons share, and the rows that they are of in a fold."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from recording_console import RecordingConsole
from small_configs import run_config
from torch import Tensor

from simtrain.builders.encoder import build_encoder
from simtrain.catalog.images import read_image
from simtrain.catalog.table import Catalog, write_catalog
from simtrain.commands.compare import compare
from simtrain.commands.evaluate import evaluate
from simtrain.commands.fit import fit
from simtrain.config import RunConfig, dump_yaml, load_compare_config
from simtrain.console import SILENT
from simtrain.encoders.arithmetic import Precision
from simtrain.encoders.base import Encoder
from simtrain.encoders.whitening import Whitening
from simtrain.runs.cached_embedding import CachedEmbedding

NETWORK = {"kind": "timm", "model": "test_efficientnet", "weights": "none", "image_size": 32}
HISTOGRAM = {"kind": "histogram", "bins": 4, "image_size": 24}


class Counter:
    """How many images encoders have embedded."""

    def __init__(self) -> None:
        self._images = 0

    def add(self, images: int) -> None:
        self._images += images

    def taken(self) -> int:
        """The number since it was last asked for."""
        found, self._images = self._images, 0
        return found


@pytest.fixture
def counter(monkeypatch: pytest.MonkeyPatch) -> Iterator[Counter]:
    counter, real = Counter(), Encoder.embed_pixels

    def counting(self: Encoder, pixels: Tensor, *, precision: Precision = "32") -> Tensor:
        counter.add(len(pixels))
        return real(self, pixels, precision=precision)

    monkeypatch.setattr(Encoder, "embed_pixels", counting)
    return counter


@pytest.fixture
def own(catalog: Catalog, tmp_path: Path) -> Catalog:
    """A copy with three folds, in which image 1 and image 9 of other folds are copies of each other."""
    shutil.copytree(catalog.folder, tmp_path / "catalog")
    shutil.rmtree(tmp_path / "catalog" / "embeddings", ignore_errors=True)
    count = len(catalog.rows)
    groups = pd.Series([None] * count, dtype=object)
    groups[[1, 9]] = "copies"
    rows = catalog.rows.assign(fold=np.arange(count) // 4 % 3, duplicate_group=groups)
    own = Catalog(rows=rows, root=catalog.root, folder=tmp_path / "catalog")
    write_catalog(own)
    return own


def sizes(catalog: Catalog) -> dict[str, int]:
    return {split: len(catalog.rows_of([split])) for split in ("train", "val", "test")}


def whitened(config: RunConfig) -> RunConfig:
    return config.model_copy(update={"encoder": type(config.encoder).model_validate(
        {**config.encoder.model_dump(), "whitening": {}}
    )})  # fmt: skip


@pytest.mark.slow
def test_training_images_of_an_untouched_encoder_are_embedded_once(
    own: Catalog, tmp_path: Path, counter: Counter
) -> None:
    count = sizes(own)
    objective = {"kind": "distill", "teacher_image_sizes": [32]}
    trainer = {"epochs": 1, "accelerator": "cpu"}
    config = run_config(own, tmp_path / "runs", encoder=NETWORK, objective=objective, trainer=trainer)
    fit(config, resume=False, console=SILENT)
    counter.taken()
    evaluate(whitened(config), run=None, split="test", alpha=None, console=SILENT)
    assert counter.taken() == count["test"]
    (tmp_path / "plain.yaml").write_text(dump_yaml(whitened(config)))
    settings = load_compare_config(None, [
        f"encoders=['{tmp_path / 'plain.yaml'}']", "draws=1000", "workers=0", "robustness_images=0",
        "pictures.map_points=0",
    ])  # fmt: skip
    compare(own.folder, [], config=settings, console=SILENT)
    assert counter.taken() == count["val"]


def test_whitening_learns_once(own: Catalog, tmp_path: Path, counter: Counter) -> None:
    count, console = sizes(own), RecordingConsole()
    config = run_config(own, tmp_path / "runs", encoder={**HISTOGRAM, "whitening": {}})
    found = [evaluate(config, run=None, split="val", alpha=None, console=console) for _ in range(2)]
    assert counter.taken() == count["train"] + count["val"]
    assert found[0].evaluation.metrics == found[1].evaluation.metrics
    told = [line for line in console.lines if line.startswith("whitening: ")]
    assert told[0].startswith(f"whitening: {count['train']} training images embedded in ")
    assert told[1:] == [f"whitening: {count['train']} training images: embeddings read from the cache"]


def test_what_a_whitened_encoder_whitens_is_kept_and_shared(own: Catalog, tmp_path: Path, counter: Counter) -> None:
    config = run_config(own, tmp_path, encoder=HISTOGRAM)
    encoder = build_encoder(config.encoder, load=True).eval()
    rows = own.rows_of(["val"])
    cached = CachedEmbedding(config=config, catalog=own, console=SILENT)
    plain = cached.embedded(encoder, rows)
    generator = torch.Generator().manual_seed(0)
    whitening = Whitening(mean=plain.mean(dim=0), projection=torch.randn(plain.shape[1], 5, generator=generator))
    encoder.whiten(whitening)
    counter.taken()
    found = cached.embedded(encoder, rows)
    assert counter.taken() == 0
    expected = (plain - plain.mean(dim=0)).double() @ whitening.projection.double()
    torch.testing.assert_close(found.double(), expected / expected.norm(dim=1, keepdim=True), atol=1e-5, rtol=0)


@pytest.mark.parametrize("first", [0, 1])
def test_a_fold_that_lacks_rows_shares_the_embeddings_of_the_others(own: Catalog, tmp_path: Path, first: int) -> None:
    encoder = build_encoder(run_config(own, tmp_path, encoder=HISTOGRAM).encoder, load=True).eval()
    for fold in (first, 1 - first, None):
        of_fold = own if fold is None else own.with_fold(fold)
        assert len(of_fold.rows) == len(own.rows) - (fold is not None)
        config = run_config(own, tmp_path, encoder=HISTOGRAM, fold=fold)
        cached = CachedEmbedding(config=config, catalog=of_fold, console=SILENT)
        rows = of_fold.rows_of(["train", "val", "test"])[::-2]
        cached.embed(encoder, "0" * 64, cached.images(24).reader, rows)
        paths = of_fold.rows["path"].iloc[rows]
        squares = np.stack([encoder.preprocessing.pixels(read_image(own.root / path)) for path in paths])
        expected = encoder.embed_pixels(torch.from_numpy(squares))
        torch.testing.assert_close(cached.vectors("0" * 64, rows), expected, atol=1e-6, rtol=0)

"""The plan of a comparison in a line."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from recording_console import RecordingConsole

from simtrain.catalog.table import Catalog
from simtrain.comparison import workload
from simtrain.comparison.candidates import EncoderFactory, list_candidates
from simtrain.comparison.embeddings import Embedder
from simtrain.comparison.protocol import build_protocol
from simtrain.comparison.workload import Workload, workload_of
from simtrain.config import load_compare_config
from simtrain.data.embedding_cache import EmbeddingCache
from simtrain.errors import CheckpointError


@pytest.mark.parametrize(
    ("encoders", "variants", "seconds", "expected"),
    [
        (9, 0, None, "9 encoders, 1,441 images"),
        (1, 1, 700.0, "1 encoder and 1 whitened variant, 1,441 images, about 12 min of embedding"),
        (9, 6, 42.0, "9 encoders and 6 whitened variants, 1,441 images, about 40 s of embedding"),
        (9, 0, 2.0, "9 encoders, 1,441 images, about 5 s of embedding"),
        (9, 0, 0.0, "9 encoders, 1,441 images, embeddings are there"),
    ],
)
def test_the_plan_in_words(encoders: int, variants: int, seconds: float | None, expected: str) -> None:
    assert str(Workload(encoders=encoders, variants=variants, images=1441, seconds=seconds)) == expected


class Timed(Embedder):
    """Takes a hundredth of a second for each image of `pixels`; the other one cannot be loaded."""

    def timed(self, factory: EncoderFactory, rows: NDArray[np.int64], *, images: int) -> tuple[int, float]:
        if factory.details()["encoder"]["kind"] != "pixels":
            raise CheckpointError("not here")
        return len(rows), 0.01


def counted(catalog: Catalog, tmp_path: Any, overrides: Sequence[str]) -> tuple[Workload, RecordingConsole]:
    config = load_compare_config(None, ["encoders=[pixels,histogram_lab]", *overrides])
    console = RecordingConsole()
    embedder = Timed(
        config=config, catalog=catalog, cache=EmbeddingCache(tmp_path, data="0"), device=torch.device("cpu"),
        console=console,
    )  # fmt: skip
    candidates = list_candidates(config, [], catalog=catalog)
    return workload_of(candidates, build_protocol(config, catalog, []), embedder), console


def test_a_whitened_variant_needs_the_training_images_too(catalog: Catalog, tmp_path: Any) -> None:
    evaluated = int(catalog.rows["split"].isin(["val", "test"]).sum())
    plain, _ = counted(catalog, tmp_path, ["whitening=null"])
    whitened, console = counted(catalog, tmp_path, [])
    assert (plain.encoders, plain.variants, plain.images) == (2, 0, evaluated)
    assert (whitened.encoders, whitened.variants, whitened.images) == (2, 4, len(catalog.rows))
    assert whitened.seconds is None
    assert console.bars == []


def test_many_images_are_timed_and_what_cannot_be_loaded_is_left_out(
    catalog: Catalog, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workload, "WORTH_TIMING", 10)
    found, console = counted(catalog, tmp_path, ["whitening=null"])
    assert found.seconds == pytest.approx(0.01 * found.images)
    assert console.bars == [("timing encoders", 2, 2)]

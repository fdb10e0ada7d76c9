"""What an exported bundle and shards know of their images: embeddings by content, or why they cannot be used."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from simtrain.api import index
from simtrain.api.embed import embed
from simtrain.commands.search import open_bundle
from simtrain.console import SILENT
from simtrain.errors import SimtrainError
from simtrain.serving.known_embeddings import embeddings_of_bundle, embeddings_of_shards, items_of_shards


def test_a_bundle_knows_its_embeddings_by_content(bundle: Path) -> None:
    opened = open_bundle(bundle)
    known = embeddings_of_bundle(bundle, fingerprint=opened.bundle.fingerprint)
    contents = opened.items["sha256"].tolist()
    rows = known.rows_of([contents[7], "0" * 64, contents[3]])
    assert rows[1] == -1
    for place, row in ((0, 7), (2, 3)):
        assert known.vectors[rows[place]] == pytest.approx(opened.bundle.index.vectors(np.array([row]))[0], abs=0)
    with pytest.raises(SimtrainError, match="the bundle before was of another encoder"):
        embeddings_of_bundle(bundle, fingerprint="f" * 64)


def test_a_bundle_that_index_has_changed_is_not_what_an_export_gives(bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    Image.fromarray(np.full((40, 40, 3), 90, dtype=np.uint8)).save(tmp_path / "new" / "n.png")
    index.add(bundle, tmp_path / "new", console=SILENT)
    fingerprint = open_bundle(bundle).bundle.fingerprint
    with pytest.raises(SimtrainError, match="simtrain index has changed the bundle before, from files instead of"):
        embeddings_of_bundle(bundle, fingerprint=fingerprint)


def test_shards_know_theirs_as_unit_vectors(bundle: Path, tmp_path: Path) -> None:
    opened = open_bundle(bundle)
    root = opened.bundle.image_path(0).parents[1]
    embed(bundle, root, tmp_path / "halves", processes=1, precision="float16", shard_size=50, console=SILENT)
    fingerprint = opened.bundle.fingerprint
    known = embeddings_of_shards(tmp_path / "halves", fingerprint=fingerprint, halves_allowed=True)
    items = items_of_shards(tmp_path / "halves")
    assert known.halves
    assert np.linalg.norm(known.vectors, axis=1) == pytest.approx(1, abs=1e-6)
    rows = known.rows_of(items["sha256"].tolist())
    expected = opened.encode([root / path for path in items["path"].iloc[::40]])
    assert known.vectors[rows[::40]] == pytest.approx(expected, abs=1e-3)
    with pytest.raises(SimtrainError, match="holds float16 numbers, and the bundle keeps float32, so that"):
        embeddings_of_shards(tmp_path / "halves", fingerprint=fingerprint, halves_allowed=False)

"""Exports that take over embeddings which are there: the same bundle as an export that embeds every image."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from small_commands import everything_below

from simtrain.api import index
from simtrain.api.embed import embed
from simtrain.catalog.images import read_image
from simtrain.catalog.table import Catalog, read_catalog, write_catalog
from simtrain.commands.export import ExportResult, export
from simtrain.commands.search import open_bundle
from simtrain.console import SILENT
from simtrain.errors import SimtrainError
from simtrain.files import sha256_of_file
from simtrain.runs import reused_embeddings
from simtrain.runs.run import Run, open_run
from simtrain.serving.bundle import Bundle

OTHER = "encoder.image_size=40"  # another preparation of images, and so another embedding space
TIMES = ("milliseconds_per_query",)


@pytest.fixture
def embedded(monkeypatch: pytest.MonkeyPatch) -> list[list[int]]:
    """The catalogue rows of each call that embeds."""
    seen: list[list[int]] = []
    real = reused_embeddings.embed_rows

    def embed_rows(encoder: Any, images: Any, rows: list[int], **rest: Any) -> Any:
        seen.append(rows)
        return real(encoder, images, rows, **rest)

    monkeypatch.setattr(reused_embeddings, "embed_rows", embed_rows)
    return seen


@pytest.fixture
def whole(own_catalog: Path, tmp_path: Path) -> Catalog:
    """The run's catalogue with pictures that a test may change."""
    catalog = read_catalog(own_catalog)
    root = Path(shutil.copytree(catalog.root, tmp_path / "pictures"))
    return Catalog(rows=catalog.rows, root=root, folder=tmp_path / "whole")


def on(run: Run, catalog: Catalog, *others: str) -> Run:
    catalog.folder.mkdir(exist_ok=True)
    write_catalog(catalog)
    overrides = [f"catalog={catalog.folder}", *others]
    return open_run(str(run.folder), checkpoints=run.folder.parent, overrides=overrides)


def exported(run: Run, out: Path, **rest: Any) -> ExportResult:
    return export(run, out=out, alpha=None, console=SILENT, **rest)


def vectors_of(folder: Path) -> Any:
    bundle = Bundle.open(folder)
    return bundle.index.vectors(np.arange(bundle.index.count))


def below(folder: Path) -> dict[str, bytes]:
    return {str(Path(name).relative_to(folder)): content for name, content in everything_below(folder).items()}


def told(folder: Path) -> dict[str, Any]:
    manifest = json.loads((folder / "manifest.json").read_text())
    described = {name: value for name, value in manifest["index"].items() if name not in TIMES}
    return {**manifest, "index": described, "files": sorted(manifest["files"]), "checksum": ""}


def test_a_grown_catalogue_gives_the_bundle_that_a_fresh_export_gives(
    trained: Run, whole: Catalog, tmp_path: Path, embedded: list[list[int]]
) -> None:
    out, fresh = tmp_path / "bundle", tmp_path / "fresh"
    first = exported(on(trained, replace(whole, rows=whole.rows.iloc[:90], folder=tmp_path / "part")), out)
    assert first.reuse is None
    embedded.clear()
    grown = exported(on(trained, whole), out)
    assert f"re-used 90 of 120 embeddings of {out}" in str(grown).splitlines()
    assert embedded[-1] == list(range(90, 120))
    assert all(len(rows) <= 45 for rows in embedded)
    exported(on(trained, whole), fresh)
    assert vectors_of(out) == pytest.approx(vectors_of(fresh), abs=1e-6)
    files, expected = below(out), below(fresh)
    assert files.keys() == expected.keys()
    for name in files.keys() - {"index.faiss", "manifest.json"}:
        assert files[name] == expected[name], name
    found, wanted = told(out), told(fresh)
    for key in ("fingerprint", "index", "encoder", "preprocessing", "files"):
        assert found[key] == wanted[key], key
    one, other = open_bundle(out), open_bundle(fresh)
    for row in (0, 50, 119):
        query = whole.root / str(whole.rows["path"].iat[row])
        assert [hit.id for hit in one.search(query, k=10)] == [hit.id for hit in other.search(query, k=10)]


def test_only_a_changed_image_is_embedded(
    trained: Run, whole: Catalog, tmp_path: Path, embedded: list[list[int]]
) -> None:
    out = tmp_path / "bundle"
    exported(on(trained, whole), out)
    file = whole.root / str(whole.rows["path"].iat[7])
    pixels = np.random.default_rng(0).integers(0, 256, (48, 48, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(file)
    rows = whole.rows.copy()
    rows.loc[rows.index[7], "sha256"] = sha256_of_file(file)
    embedded.clear()
    changed = exported(on(trained, replace(whole, rows=rows, folder=tmp_path / "changed")), out)
    assert str(changed.reuse) == f"re-used 119 of 120 embeddings of {out}"
    assert next(rows for rows in embedded if 7 in rows) == [7]
    opened = open_bundle(out)
    assert opened.search(read_image(file), k=1).neighbours[0].id == str(rows["id"].iat[7])


def test_why_nothing_is_taken_over_is_told(trained: Run, whole: Catalog, tmp_path: Path) -> None:
    run, out = on(trained, whole), tmp_path / "bundle"
    exported(run, out)
    other = exported(on(trained, whole, OTHER), out)
    assert str(other.reuse) == f"re-used 0 of 120 embeddings of {out}: the bundle before was of another encoder"
    new = tmp_path / "new"
    new.mkdir()
    Image.fromarray(np.full((40, 40, 3), 90, dtype=np.uint8)).save(new / "n.png")
    index.add(out, new, console=SILENT)
    after = exported(on(trained, whole, OTHER), out)
    assert str(after.reuse).endswith(
        ": simtrain index has changed the bundle before, from files instead of the catalogue's store"
    )
    (out / "items.parquet").write_bytes(b"damaged")
    damaged = exported(run, out)
    assert damaged.reuse is not None
    assert damaged.reuse.count == 0
    assert "items.parquet: altered" in str(damaged.reuse)


def test_a_bundle_of_other_pixels_is_not_taken_over(
    trained: Run, whole: Catalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, out = on(trained, whole), tmp_path / "bundle"
    exported(run, out)
    real = reused_embeddings.embeddings_of_bundle

    def turned(*arguments: Any, **settings: Any) -> Any:
        known = real(*arguments, **settings)
        return replace(known, vectors=np.roll(known.vectors, 1, axis=1))

    monkeypatch.setattr(reused_embeddings, "embeddings_of_bundle", turned)
    again = exported(run, out)
    assert again.reuse is not None
    assert "is not what the encoder makes of its image here: they differ by " in str(again.reuse)
    assert again.reuse.count == 0


def test_embeddings_of_embed_are_taken(trained: Run, whole: Catalog, tmp_path: Path, embedded: list[list[int]]) -> None:
    run, shards = on(trained, whole), tmp_path / "shards"
    exported(run, tmp_path / "first")
    embed(tmp_path / "first", whole.root, shards, processes=1, shard_size=50, console=SILENT)
    embedded.clear()
    result = exported(run, tmp_path / "second", embeddings=shards)
    assert str(result.reuse) == f"re-used 120 of 120 embeddings of {shards}"
    assert result.images == "images: from the source's files, as simtrain embed reads them"
    assert sum(len(rows) for rows in embedded) <= 45  # the sample that is compared
    assert vectors_of(tmp_path / "second") == pytest.approx(vectors_of(tmp_path / "first"), abs=1e-5)
    Image.fromarray(np.zeros((40, 40, 3), dtype=np.uint8)).save(whole.root / str(whole.rows["path"].iat[3]))
    with pytest.raises(SimtrainError, match="has changed since it was embedded; run simtrain embed again"):
        exported(run, tmp_path / "third", embeddings=shards)
    with pytest.raises(SimtrainError, match=r"^.*shards: embeddings of another encoder: their fingerprint is "):
        exported(on(trained, whole, OTHER), tmp_path / "third", embeddings=shards)
    with pytest.raises(SimtrainError, match="no embeddings here; make them with: simtrain embed"):
        exported(run, tmp_path / "third", embeddings=tmp_path / "nothing")


def test_halves_are_taken_where_the_bundle_keeps_halves(trained: Run, whole: Catalog, tmp_path: Path) -> None:
    run, shards = on(trained, whole), tmp_path / "shards"
    exported(run, tmp_path / "first")
    embed(tmp_path / "first", whole.root, shards, processes=1, precision="float16", console=SILENT)
    with pytest.raises(SimtrainError, match="holds float16 numbers, and the bundle keeps float32, so that"):
        exported(run, tmp_path / "second", embeddings=shards)
    section = run.config.export.model_copy(update={"index": "ivf2,sq8", "index_vectors": "float16"})
    halved = replace(run, config=run.config.model_copy(update={"export": section}))
    result = exported(halved, tmp_path / "second", embeddings=shards)
    assert str(result.reuse) == f"re-used 120 of 120 embeddings of {shards}"
    lengths = np.linalg.norm(vectors_of(tmp_path / "second"), axis=1)
    assert lengths == pytest.approx(1, abs=1e-3)

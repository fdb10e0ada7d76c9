"""Embeddings that are kept: what is made, what is read back, what is thrown away."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from simtrain.builders.encoder import build_encoder
from simtrain.config import EncoderConfig, HistogramConfig, PixelsConfig, TimmConfig
from simtrain.data import embedding_cache
from simtrain.data.embedding_cache import Embedded, EmbeddingCache, encoder_fingerprint, variant_fingerprint
from simtrain.data.row_vectors import RowVectors
from simtrain.encoders.arithmetic import Arithmetic
from simtrain.encoders.whitening import Whitening
from simtrain.errors import CatalogError

BF16 = Arithmetic(precision="bf16", lowest_cosine=0.998, images=3)


class Embedding:
    """Counts what it is asked for; row r becomes (r, -r)."""

    def __init__(self) -> None:
        self.asked: list[list[int]] = []

    def __call__(self, rows: NDArray[np.int64]) -> torch.Tensor:
        self.asked.append(rows.tolist())
        return torch.tensor([[row, -row] for row in rows.tolist()], dtype=torch.float32)


def get(cache: EmbeddingCache, rows: list[int], embed: Embedding, fingerprint: str = "f" * 64) -> Embedded:
    missing = cache.missing(fingerprint, np.array(rows))
    if len(missing):
        made = Embedded(
            rows=missing,
            vectors=embed(missing),
            seconds=float(len(missing)),
            images=len(missing),
            device="a device",
            arithmetic=BF16,
        )
        cache.add(fingerprint, made)
    return cache.load(fingerprint, np.array(rows))


def test_only_rows_that_are_missing_are_made(tmp_path: Path):
    embed, cache = Embedding(), EmbeddingCache(tmp_path, data="d")
    get(cache, [1, 4, 6], embed)
    found = get(cache, [2, 4, 5, 6], embed)
    assert embed.asked == [[1, 4, 6], [2, 5]]
    assert found.vectors.tolist() == [[2, -2], [4, -4], [5, -5], [6, -6]]


def test_what_was_made_is_there_for_the_next_command(tmp_path: Path):
    get(EmbeddingCache(tmp_path, data="d"), [1, 2], Embedding())
    embed = Embedding()
    found = get(EmbeddingCache(tmp_path, data="d"), [2], embed)
    assert (embed.asked, found.vectors.tolist()) == ([], [[2, -2]])


def test_the_arithmetic_is_kept_with_what_it_made(tmp_path: Path):
    get(EmbeddingCache(tmp_path, data="d"), [1, 2], Embedding())
    assert EmbeddingCache(tmp_path, data="d").load("f" * 64, np.array([1])).arithmetic == BF16


def test_each_arithmetic_has_a_fingerprint_of_its_own():
    encoder = build_encoder(PixelsConfig(kind="pixels"), load=False)
    names = [encoder_fingerprint(encoder, images="store", precision=each) for each in ("32", "bf16", "16", "tf32")]
    assert len(set(names)) == 4
    assert names[0] == encoder_fingerprint(encoder, images="store")


def test_encoders_do_not_share(tmp_path: Path):
    embed, cache = Embedding(), EmbeddingCache(tmp_path, data="d")
    get(cache, [1], embed, "f" * 64)
    get(cache, [1], embed, "e" * 64)
    assert embed.asked == [[1], [1]]


def test_a_catalogue_that_has_changed_starts_anew(tmp_path: Path):
    get(EmbeddingCache(tmp_path, data="0123456789ab"), [1], Embedding())
    embed = Embedding()
    get(EmbeddingCache(tmp_path, data="ba9876543210"), [1], embed)
    assert embed.asked == [[1]]
    assert len(list(tmp_path.iterdir())) == 1


def test_files_that_are_not_of_its_making_stay(tmp_path: Path):
    (tmp_path / "mine.safetensors").write_text("mine")
    EmbeddingCache(tmp_path, data="ba9876543210")
    assert (tmp_path / "mine.safetensors").read_text() == "mine"


def test_a_full_disk_costs_nothing_but_the_next_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def full(*arguments: object, **settings: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(embedding_cache, "write_rows", full)
    embed, cache = Embedding(), EmbeddingCache(tmp_path, data="d")
    get(cache, [1], embed)
    assert get(cache, [1, 2], embed).vectors.tolist() == [[1, -1], [2, -2]]
    assert embed.asked == [[1], [2]]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [b"", b"no tensors"])
def test_a_damaged_file_is_made_again(tmp_path: Path, content: bytes):
    get(EmbeddingCache(tmp_path, data="d"), [1], Embedding())
    for path in tmp_path.iterdir():
        path.write_bytes(content)
    embed = Embedding()
    assert get(EmbeddingCache(tmp_path, data="d"), [1], embed).vectors.tolist() == [[1, -1]]
    assert embed.asked == [[1]]


def test_a_place_that_cannot_be_made_is_done_without(tmp_path: Path):
    (tmp_path / "file").write_text("")
    cache = EmbeddingCache(tmp_path / "file" / "below", data="d")
    assert not cache.lasting
    assert get(cache, [3], Embedding()).vectors.tolist() == [[3, -3]]


def test_a_row_that_was_not_embedded_is_an_error(tmp_path: Path):
    found = get(EmbeddingCache(tmp_path, data="d"), [1, 5], Embedding())
    for row in (0, 3, 9):
        with pytest.raises(KeyError):
            found.of(np.array([row]))


def test_a_file_that_another_command_joins_meanwhile_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    other, map_rows = EmbeddingCache(tmp_path, data="d"), embedding_cache.map_rows
    made = Embedded(rows=np.array([1]), vectors=torch.tensor([[1.0, -1.0]]), seconds=1.0, images=1, device="")
    other.add_block("f" * 64, made)

    def joined_after_the_first(path: Path) -> RowVectors:
        monkeypatch.undo()
        try:
            return map_rows(path)
        finally:
            other.consolidate("f" * 64)

    monkeypatch.setattr(embedding_cache, "map_rows", joined_after_the_first)
    assert EmbeddingCache(tmp_path, data="d").load("f" * 64, np.array([1])).vectors.tolist() == [[1, -1]]


def test_commands_that_embed_at_once_lose_nothing_of_each_other(tmp_path: Path):
    def own_rows(first: int) -> int:
        cache = EmbeddingCache(tmp_path, data="d")
        return sum(len(get(cache, [row], Embedding()).rows) for row in range(first, 80, 4))

    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(own_rows, range(4))) == [20] * 4
    found = EmbeddingCache(tmp_path, data="d").load("f" * 64, np.arange(80))
    assert found.vectors[:, 0].tolist() == list(range(80))
    assert len(list(tmp_path.iterdir())) == 1


def test_embeddings_that_a_newer_catalogue_has_removed_are_told(tmp_path: Path):
    cache = EmbeddingCache(tmp_path, data="0123456789ab")
    get(cache, [1], Embedding())
    EmbeddingCache(tmp_path, data="ba9876543210")
    with pytest.raises(CatalogError) as told:
        cache.load("f" * 64, np.array([1]))
    assert str(told.value) == (
        f"{tmp_path}: embeddings are gone, as after another simtrain prepare of the catalogue; run the command again"
    )


def test_few_images_tell_no_speed():
    few = Embedded(rows=np.arange(2), vectors=torch.zeros(2, 1), seconds=1.0, images=63, device="")
    many = Embedded(rows=np.arange(2), vectors=torch.zeros(2, 1), seconds=16.0, images=64, device="")
    assert (few.seconds_per_thousand, many.seconds_per_thousand) == (None, 250.0)


NETWORK = {"kind": "timm", "model": "test_efficientnet", "weights": "none"}


def fingerprint(config: EncoderConfig, *, images: str = "store") -> str:
    torch.manual_seed(0)
    return encoder_fingerprint(build_encoder(config, load=True), images=images)


def test_a_fingerprint_is_of_weights_preprocessing_and_pictures():
    network = TimmConfig.model_validate(NETWORK)
    other = TimmConfig.model_validate({**NETWORK, "image_size": 64})
    torch.manual_seed(1)
    reseeded = encoder_fingerprint(build_encoder(network, load=True), images="store")
    torch.manual_seed(0)
    encoder = build_encoder(network, load=True)
    encoder.whiten(Whitening(mean=torch.zeros(256), projection=torch.eye(256)))
    whitened = encoder_fingerprint(encoder, images="store")
    all_different = [
        fingerprint(network),
        fingerprint(other),
        fingerprint(network, images="files"),
        reseeded,
        variant_fingerprint(fingerprint(network), "rotated_10"),
        fingerprint(network.model_copy(update={"pooling": "gem"})),
        fingerprint(network.model_copy(update={"flip_averaging": True})),
        whitened,
        fingerprint(PixelsConfig(kind="pixels")),
        fingerprint(HistogramConfig(kind="histogram", space="hsv")),
        fingerprint(HistogramConfig(kind="histogram", space="lab")),
        fingerprint(HistogramConfig(kind="histogram", space="lab", bins=4)),
    ]
    assert len(set(all_different)) == len(all_different)
    assert fingerprint(network) == fingerprint(network)
    # The size of training views is no part of it: embeddings are those of an encoder of the evaluation size.
    assert fingerprint(other) == fingerprint(network.model_copy(update={"evaluation_image_size": 64}))


def test_a_cache_that_is_too_large_loses_what_was_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    get(EmbeddingCache(tmp_path, data="d" * 12), [1, 2], Embedding(), "f" * 64)
    get(EmbeddingCache(tmp_path, data="d" * 12), [1, 2], Embedding(), "e" * 64)
    (tmp_path / "notes.txt").write_text("not its own")
    monkeypatch.setattr(embedding_cache, "LARGEST_CACHE", 0)
    assert EmbeddingCache(tmp_path, data="d" * 12).missing("f" * 64, np.array([1, 2])).tolist() == [1, 2]
    left = sorted(path.name for path in tmp_path.iterdir())
    assert left == [f"{'d' * 12}-{'e' * 24}.safetensors", "notes.txt"]

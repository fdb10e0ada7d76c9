"""Which index is built: as it is spelt, and as it is chosen."""

import pytest

from simtrain.errors import BundleError
from simtrain.serving.index_factory import checked_factory, chosen_factory


@pytest.mark.parametrize(
    ("typed", "known"),
    [
        ("Flat", "Flat"),
        ("flat", "Flat"),
        ("hnsw32", "HNSW32"),
        ("ivf4,flat", "IVF4,Flat"),
        ("pq4x4", "PQ4x4"),
        ("ivf4,rabitq", "IVF4,RaBitQ"),
    ],
)
def test_index_is_spelt_as_faiss_spells_it(typed: str, known: str) -> None:
    assert checked_factory(typed, dimensions=16) == known


@pytest.mark.parametrize("typed", ["Foo", "LSH", "", "Flat,", "PQ7", "flatt"])
def test_index_that_faiss_does_not_know_is_refused_in_words(typed: str) -> None:
    with pytest.raises(BundleError) as caught:
        checked_factory(typed, dimensions=16)
    assert str(caught.value) == (
        f"index: FAISS has no index '{typed}' over cosines of 16 dimensions; such as: auto, Flat (exact), "
        "HNSW32, IVF1024,SQ8, PQ32, PCA64,Flat"
    )


@pytest.mark.parametrize(
    ("count", "memory_mib", "chosen"),
    [
        (1, None, "Flat"),
        (50_000, None, "Flat"),
        (50_001, None, "IVF512,SQ8"),
        (100_000, None, "IVF1024,SQ8"),
        (1_000_000, None, "IVF4096,SQ8"),
        (20_000_000, None, "IVF16384_HNSW32,SQ8"),
        (50_000, 99, "Flat"),  # 50,000 x (4 x 512 + 8) bytes are 98.04 MiB
        (50_000, 98, "IVF512,SQ8"),
        (100_000, 52, "IVF1024,SQ8"),  # 100,000 x (512 + 8) + 1024 x 512 x 4 bytes are 51.6 MiB
        (100_000, 51, "IVF1024,SQ4"),  # 100,000 x (256 + 8) + 1024 x 512 x 4 bytes are 27.2 MiB
        (100_000, 28, "IVF1024,SQ4"),
        (100_000, 27, "IVF1024,RaBitQ"),  # 100,000 x (64 + 16) + 1024 x 512 x 4 bytes are 9.6 MiB
        (100_000, 10, "IVF1024,RaBitQ"),
    ],
)
def test_auto_takes_the_most_exact_index_that_the_memory_holds(count: int, memory_mib: int | None, chosen: str) -> None:
    assert chosen_factory(count=count, dimensions=512, memory_mib=memory_mib) == chosen
    assert checked_factory(chosen, dimensions=512) == chosen


def test_too_little_memory_is_told_with_what_is_needed() -> None:
    told = (
        "100000 items of 512 dimensions need 10 MiB in the smallest index (IVF1024,RaBitQ), found 9; allow as much, "
        "or null for no limit"
    )
    with pytest.raises(BundleError) as caught:
        chosen_factory(count=100_000, dimensions=512, memory_mib=9)
    assert str(caught.value) == f"index_memory_mib: {told}"

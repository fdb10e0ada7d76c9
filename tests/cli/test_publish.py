"""`simtrain publish` on the command line."""

from pathlib import Path

import pytest
from small_commands import Command


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("bundle", "--to", "shop.db"), "error: shop.db: is no address of a Milvus"),
        (("bundle", "--to", "milvus:shop.db"), "error: bundle: neither a bundle of simtrain export nor shards"),
        (
            ("bundle", "--to", "milvus:shop.db", "--index", "HNWS"),
            "error: --index: got 'HNWS'; allowed: auto, FLAT, HNSW",
        ),
        (
            ("bundle", "--to", "milvus:shop.db", "--collection", "a b"),
            "error: --collection: got 'a b'; allowed: letters",
        ),
        (
            ("bundle", "--to", "milvus:shop.db", "--bulk-files", "files"),
            "error: --bulk-files: milvus:shop.db is embedded, and imports no files; leave --bulk-files out, or name a ",
        ),
    ],
)
def test_mistakes_are_told_before_anything_is_made(
    simtrain: Command, tmp_path: Path, arguments: tuple[str, ...], told: str
) -> None:
    status, output, error = simtrain("publish", *arguments)
    assert (status, output) == (2, "")
    assert error.startswith(told)
    assert not (tmp_path / "shop.db").exists()

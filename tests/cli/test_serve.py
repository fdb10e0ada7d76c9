"""`simtrain serve` on the command line."""

from pathlib import Path

import pytest
from small_commands import Command


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["shop"], "shop: no such bundle; make one with: simtrain export RUN --out shop"),
        (
            ["milvus:items.db"],
            "milvus:items.db: nothing is there; publish a bundle: simtrain publish BUNDLE --to …",
        ),
        (
            ["milvus:items.db", "--from", "milvus:other.db"],
            "serve: --from milvus:other.db stands beside a bundle's folder, not beside milvus:items.db",
        ),
        (
            ["shop", "--collection", "shoes"],
            "serve: --collection is for a Milvus: simtrain serve shop --from milvus:…",
        ),
        (
            ["milvus:items.db", "--signed-by", "key.pub"],
            "serve: --signed-by is for a bundle's own index; what is in a Milvus is not signed",
        ),
        (
            ["shop", "--images", "pictures"],
            "--images pictures: no such folder; name the one that the items' paths begin in",
        ),
        (["shop", "--token", " "], "--token: is empty; give a word that others cannot guess, or leave it out"),
        (
            ["shop", "--url-host", "https://shop.example/"],
            "--url-host https://shop.example/: allowed: a host such as shop.example or shop.example:8443",
        ),
    ],
)
def test_mistakes_are_one_line(simtrain: Command, arguments: list[str], message: str) -> None:
    assert simtrain("serve", *arguments) == (2, "", f"error: {message}\n")


def test_a_missing_extra_is_told(simtrain: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from simtrain.commands import serve

    monkeypatch.setitem(serve._LIBRARIES, "fastapi", "fastapi_that_is_not_there")
    assert simtrain("serve", str(tmp_path)) == (
        2,
        "",
        "error: serve: fastapi: not installed; run: pip install 'simtrain[serve]'\n",
    )

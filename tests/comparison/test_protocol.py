"""The protocol of a comparison, fixed before any encoder runs."""

from pathlib import Path

from tiny_training import catalog_of

from simtrain.comparison.protocol import build_protocol
from simtrain.config import load_compare_config

SHOP = catalog_of(Path("shop"), split=["test"] * 8, product=list("aaaabbbb"), label=["x"] * 8, vendor=list("vvwwvvww"))


def answers(*settings: str) -> dict[str, list[int]]:
    protocol = build_protocol(load_compare_config(None, list(settings)), SHOP, [])
    return {name: task.answers().tolist() for name, task in protocol.folds[0].tasks.items()}


def test_excluded_columns_hold_for_every_definition_of_relevance():
    assert answers() == {"product": [3] * 8, "label": [7] * 8, "kind": [4] * 8}
    assert answers("exclude=[vendor]") == {"product": [2] * 8, "label": [4] * 8, "kind": [2] * 8}
    assert answers("exclude=[vendor]", "relevance=[label]") == {"label": [4] * 8}

"""Which keys hold text."""

import pytest

from simtrain.config import PrepareConfig, RunConfig
from simtrain.config.schema_keys import TextKey, text_key

TEXT = TextKey(nullable=False, structured=False, constants=())
TEXT_OR_NULL = TextKey(nullable=True, structured=False, constants=())


@pytest.mark.parametrize(
    ("key", "kind"),
    [
        ("catalog", TEXT),
        ("run", TEXT_OR_NULL),
        ("init_from", TEXT_OR_NULL),
        ("encoder.model", TEXT),
        ("encoder.image.model", TEXT),
        ("encoder.kind", None),
        ("relevance", TextKey(nullable=False, structured=True, constants=())),
        ("trainer.devices", None),
        ("trainer.epochs", None),
        ("no.such.key", None),
    ],
)
def test_kind_of_a_key(key: str, kind: TextKey | None) -> None:
    assert text_key(RunConfig, key.split(".")) == kind


def test_kind_of_a_column_of_prepare() -> None:
    assert text_key(PrepareConfig, ["columns", "product"]) == TextKey(
        nullable=True, structured=False, constants=(False,)
    )

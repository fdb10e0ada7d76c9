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
        ("relevance", TextKey(nullable=False, structured=True, constants=(), listed=True)),
        ("trainer.freeze", TextKey(nullable=False, structured=True, constants=(), listed=True, single=False)),
        ("objective.label_column", TEXT_OR_NULL),
        ("objective.positive", None),
        ("data.workers", None),
        ("trainer.devices", None),
        ("trainer.epochs", None),
        ("no.such.key", None),
    ],
)
def test_kind_of_a_key(key: str, kind: TextKey | None) -> None:
    assert text_key(RunConfig, key.split("."), {}) == kind


def test_kind_of_a_column_of_prepare() -> None:
    assert text_key(PrepareConfig, ["columns", "product"], {}) == TextKey(
        nullable=True, structured=False, constants=(False,)
    )


def test_the_kind_that_a_configuration_names_decides() -> None:
    names, python = ["objective", "positive"], {"objective": {"kind": "python"}}
    assert text_key(RunConfig, names, python) == TEXT
    assert text_key(RunConfig, names, {"objective": {"kind": "simclr"}}) is None

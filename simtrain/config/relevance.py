"""Definition of relevance between images: equal columns, or the same kind among other products."""

from collections.abc import Sequence
from typing import Annotated

from pydantic import BeforeValidator, Discriminator, Field, Tag

from simtrain.config.section import Section

Columns = str | Annotated[list[str], Field(min_length=1)]
"""A column of the catalogue, or several together."""


class KindConfig(Section):
    """Same kind, other products: images that share `same` are relevant.

    Those that share `other` with the query count neither as finds nor as misses. `relevance: kind` is the short form
    with both defaults.
    """

    same: Columns = "label"
    """Column, or columns together, whose equal values make images relevant."""

    other: Columns = "product"
    """Column, or columns together, in which relevant images differ from the query."""


class QrelsConfig(Section):
    """Relevance by a table of judged pairs, where one image may be relevant to queries of many groups."""

    qrels: str = Field(min_length=1)
    """File with the columns `query`, `item` and perhaps `grade` (0: not relevant): `.csv`, `.tsv`, `.jsonl`,
    `.parquet`, or TREC's `.txt` and `.qrels`."""

    by: str | None = None
    """Column of the catalogue, such as `product`, whose values the file names; null: ids of images."""


def _form(value: object) -> str:
    if isinstance(value, QrelsConfig) or (isinstance(value, dict) and any(str(key).startswith("qr") for key in value)):
        return "<QrelsConfig>"
    return "<column>" if isinstance(value, str) else "<columns>" if isinstance(value, list) else "<KindConfig>"


RelevanceSetting = Annotated[
    Annotated[str, Tag("<column>")]
    | Annotated[list[str], Field(min_length=1), Tag("<columns>")]
    | Annotated[KindConfig, Tag("<KindConfig>")]
    | Annotated[QrelsConfig, Tag("<QrelsConfig>")],
    Discriminator(_form),
]
"""A column, a list of columns, `kind`, {same: …, other: …}, or {qrels: FILE}."""


def columns_of(setting: RelevanceSetting) -> list[str]:
    """The columns whose equal values make images relevant, as a list; of `kind` those of its `same`; of qrels none."""
    if isinstance(setting, QrelsConfig):
        return []
    if isinstance(setting, KindConfig):
        return columns_of(setting.same)
    return [setting] if isinstance(setting, str) else list(setting)


def named_twice(settings: Sequence[RelevanceSetting]) -> str | None:
    """What stands more than once among definitions of relevance; None: nothing."""
    for place, one in enumerate(settings):
        if _normal(one) in [_normal(other) for other in settings[:place]]:
            if isinstance(one, QrelsConfig):
                return one.qrels
            name = " + ".join(columns_of(one))
            return f"{name} (other {' + '.join(columns_of(one.other))})" if isinstance(one, KindConfig) else name
    return None


def _normal(setting: RelevanceSetting) -> tuple[list[str], list[str]]:
    if isinstance(setting, QrelsConfig):
        return [setting.qrels, setting.by or ""], ["qrels"]
    return columns_of(setting), columns_of(setting.other) if isinstance(setting, KindConfig) else []


def _without_qrels(value: object) -> object:
    """The value of a key that names a column for training.

    Raises:
        ValueError: for a table of judged pairs.
    """
    if isinstance(value, dict) and "qrels" in value:
        raise ValueError(
            "a table of judged pairs (qrels) is for evaluation only: relevance={qrels: FILE}; training takes positives "
            "from a column of equal values, such as product or label"
        )
    return value


PositiveColumn = Annotated[str, BeforeValidator(_without_qrels)]
"""A column whose equal values are positives in training."""

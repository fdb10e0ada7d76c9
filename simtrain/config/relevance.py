"""Definition of relevance between images: equal columns, or the same kind among other products."""

from collections.abc import Sequence
from typing import Annotated

from pydantic import Discriminator, Field, Tag

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


def _form(value: object) -> str:
    return "<column>" if isinstance(value, str) else "<columns>" if isinstance(value, list) else "<section>"


RelevanceSetting = Annotated[
    Annotated[str, Tag("<column>")]
    | Annotated[list[str], Field(min_length=1), Tag("<columns>")]
    | Annotated[KindConfig, Tag("<section>")],
    Discriminator(_form),
]
"""A column, a list of columns, `kind`, or {same: …, other: …}."""


def columns_of(setting: RelevanceSetting) -> list[str]:
    """The columns whose equal values make images relevant, as a list; of `kind` those of its `same`."""
    if isinstance(setting, KindConfig):
        return columns_of(setting.same)
    return [setting] if isinstance(setting, str) else list(setting)


def named_twice(settings: Sequence[RelevanceSetting]) -> str | None:
    """What stands more than once among definitions of relevance; None: nothing."""
    for place, one in enumerate(settings):
        if _normal(one) in [_normal(other) for other in settings[:place]]:
            name = " + ".join(columns_of(one))
            return f"{name} (other {' + '.join(columns_of(one.other))})" if isinstance(one, KindConfig) else name
    return None


def _normal(setting: RelevanceSetting) -> tuple[list[str], list[str]]:
    return columns_of(setting), columns_of(setting.other) if isinstance(setting, KindConfig) else []

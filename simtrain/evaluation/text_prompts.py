"""Text prompts from a catalogue's columns: captions as they are, and templates such as `a photo of a {label}`."""

# Shapes: N images, C classes, P templates, D features.

import string
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import pandas as pd
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from simtrain.catalog.table import CATALOG_FILE, Catalog
from simtrain.encoders.text import TextEncoder
from simtrain.errors import CatalogError, ConfigError, nearest


@dataclass(frozen=True, kw_only=True)
class LabelPrompts:
    """Prompts of each class of some images.

    Attributes:
        columns: Columns whose values, taken together, name a class.
        texts: (C, P) prompt of each class by each template; the classes in the order of their first prompt.
        classes: (N,) class of each image, 0..C-1; -1 where one of the columns is empty.
    """

    columns: tuple[str, ...]
    texts: tuple[tuple[str, ...], ...]
    classes: NDArray[np.int64]


def label_prompts(catalog: Catalog, rows: NDArray[np.int64], templates: Sequence[str]) -> LabelPrompts:
    """The classes of (N,) catalogue rows, each written with every template.

    Values that differ in case and white space only are one class: a text tower reads them alike.

    Args:
        catalog: Catalogue with the columns.
        rows: (N,) catalogue rows of the images.
        templates: One or more templates, over the same columns in any order.

    Raises:
        ConfigError: for a template without a column or with a broken one, or templates over different columns.
        CatalogError: for a column that the catalogue does not have, or if no image has all of them.
    """
    columns = template_columns(templates[0])
    for template in templates[1:]:
        if set(template_columns(template)) != set(columns):
            raise ConfigError(
                f"templates '{templates[0]}' and '{template}' are over different columns; "
                "prompts are averaged for each class, so give all of them the same columns"
            )
    written = [texts_of(catalog, rows, template) for template in templates]
    texts = [None if texts[0] is None else cast(tuple[str, ...], texts) for texts in zip(*written, strict=True)]
    first_texts, classes = distinct([None if prompts is None else prompts[0] for prompts in texts])
    members = {int(code): prompts for code, prompts in reversed(list(zip(classes, texts, strict=True))) if prompts}
    return LabelPrompts(
        columns=columns, texts=tuple(members[code] for code in range(len(first_texts))), classes=classes
    )


def embed_prompts(prompts: LabelPrompts, text_encoder: TextEncoder) -> Tensor:
    """(C, D) class embeddings: the mean of a class's unit prompt embeddings, scaled to unit length.

    The ensembling over the embedding space of https://arxiv.org/abs/2103.00020, section 3.1.4.

    Args:
        prompts: Prompts of C classes.
        text_encoder: Encoder of the prompts.
    """
    flat = [text for texts in prompts.texts for text in texts]
    embedded = text_encoder.embed_texts(flat)
    return F.normalize(embedded.reshape(len(prompts.texts), -1, embedded.shape[1]).mean(dim=1), dim=1)


def texts_of(catalog: Catalog, rows: NDArray[np.int64], template: str) -> list[str | None]:
    """A template filled in for each of N catalogue rows; None where one of its columns is empty or blank.

    Args:
        catalog: Catalogue with the columns.
        rows: (N,) catalogue rows of the images.
        template: Text with columns in braces, such as `a photo of a {label}`.

    Raises:
        ConfigError: for a template without a column or with a broken one.
        CatalogError: for a column that the catalogue does not have, or if no row has all of the template's.
    """
    texts = filled_texts(catalog, rows, template)
    if not any(texts):
        raise CatalogError(
            f"{catalog.folder / CATALOG_FILE}: none of {len(rows)} images has a value of "
            f"{' + '.join(template_columns(template))}, which the template '{template}' needs"
        )
    return texts


def filled_texts(catalog: Catalog, rows: NDArray[np.int64], template: str) -> list[str | None]:
    """The texts of `texts_of`, but None for every row where no row has all of the template's columns.

    Args:
        catalog: Catalogue with the columns.
        rows: (N,) catalogue rows of the images.
        template: Text with columns in braces, such as `a photo of a {label}`.

    Raises:
        ConfigError: for a template without a column or with a broken one.
        CatalogError: for a column that the catalogue does not have.
    """
    values = {name: _values(catalog, rows, name, template=template) for name in template_columns(template)}
    texts: list[str | None] = []
    for index in range(len(rows)):
        filled = {name: column[index] for name, column in values.items()}
        texts.append(_filled(template, cast(dict[str, str], filled)) if None not in filled.values() else None)
    return texts


def template_columns(template: str) -> tuple[str, ...]:
    """Names of the columns that a template fills in, in its order, each once.

    Raises:
        ConfigError: if there are none, or the braces are not those of names.
    """
    hint = "write a column as {label}, and a brace that is meant as one twice"
    try:
        fields = [field for field in string.Formatter().parse(template) if field[1] is not None]
    except ValueError as error:
        raise ConfigError(f"template '{template}': {error}; {hint}") from None
    for _, name, form, conversion in fields:
        if not name or form or conversion:
            raise ConfigError(f"template '{template}': '{{{name}}}' is not the name of a column; {hint}")
    if not fields:
        raise ConfigError(f"template '{template}': has no column; {hint}")
    return tuple(dict.fromkeys(str(name) for _, name, _, _ in fields))


def distinct(texts: Sequence[str | None]) -> tuple[list[str], NDArray[np.int64]]:
    """The different ones of N texts, sorted, and the (N,) index of each text among them; -1 for None.

    Texts that differ in case and white space only are one, spelt as the first of them.
    """
    spelt: dict[str, str] = {}
    keys = [None if text is None else " ".join(text.lower().split()) for text in texts]
    for key, text in zip(keys, texts, strict=True):
        if key is not None and text is not None:
            spelt.setdefault(key, text)
    in_order = sorted(spelt, key=lambda key: spelt[key])
    index_of_key: dict[str | None, int] = {key: index for index, key in enumerate(in_order)}
    indices = np.array([index_of_key.get(key, -1) for key in keys], dtype=np.int64)
    return [spelt[key] for key in in_order], indices


def _values(catalog: Catalog, rows: NDArray[np.int64], name: str, *, template: str) -> list[str | None]:
    path, names = catalog.folder / CATALOG_FILE, [str(column) for column in catalog.rows.columns]
    if name not in names:
        hint = nearest(name, names) or f"; it has {', '.join(names)}"
        raise CatalogError(f"{path}: no column '{name}', which the template '{template}' needs{hint}")
    column = catalog.rows[name].iloc[rows]
    texts = []
    for value, empty in zip(column.tolist(), column.isna().tolist(), strict=True):
        if not empty and not pd.api.types.is_scalar(value):
            raise CatalogError(f"{path}: the values of '{name}' cannot be written in a text; take text or numbers")
        texts.append(None if empty else _text(value))
    return texts


def _text(value: object) -> str | None:
    # A column of whole numbers with gaps comes as floats.
    text = f"{value:.0f}" if isinstance(value, float) and value.is_integer() else str(value)
    return text.strip() or None


def _filled(template: str, values: dict[str, str]) -> str:
    # Not str.format, which takes the dot of a column's name for an attribute.
    parts = string.Formatter().parse(template)
    return "".join(literal + ("" if name is None else values[name]) for literal, name, _, _ in parts)

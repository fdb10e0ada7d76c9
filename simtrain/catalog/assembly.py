"""Assembly of the catalogue: rows, findings and counts from a source's rows and its image facts."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from simtrain.catalog.families import family_findings, family_values
from simtrain.catalog.inspection.caption_findings import caption_findings
from simtrain.catalog.inspection.duplicates import (
    Belonging,
    Pair,
    clusters_of_copies,
    duplicate_groups,
    pairs_to_tell,
)
from simtrain.catalog.inspection.facts import ImageFacts
from simtrain.catalog.inspection.findings import (
    duplicate_findings,
    label_findings,
    near_duplicate_findings,
    picture_findings,
)
from simtrain.catalog.inspection.product_findings import images_without, product_findings
from simtrain.catalog.readable import ReadableImages
from simtrain.catalog.remedies import copies_set_aside, groups_across_splits, remedies
from simtrain.catalog.sources import PARTS
from simtrain.catalog.sources.source import text_column
from simtrain.catalog.split import (
    assign_folds,
    assign_splits,
    copies_to_set_aside,
    group_keys,
)
from simtrain.catalog.table import COLUMNS, FOLD_COLUMN, NEAR_DUPLICATES, SPLITS
from simtrain.config import PrepareConfig
from simtrain.errors import CatalogError


@dataclass(frozen=True, kw_only=True)
class Assembled:
    """A catalogue before it is written.

    Attributes:
        rows: The catalogue's rows, one per image, with the columns of `COLUMNS`.
        findings: Problems found in source and images, as dictionaries with a `kind`, the `ids` and a `message`.
        fixes: What `prepare` did about the findings, as dictionaries with a `kind` and a `message`.
        counts: Numbers of images, products and labels, in all and per split.
    """

    rows: pd.DataFrame
    findings: list[dict[str, Any]]
    fixes: list[dict[str, Any]]
    counts: dict[str, Any]


def assemble(images: ReadableImages, *, near: Sequence[Pair], config: PrepareConfig, fix: bool) -> Assembled:
    """Group copies, assign splits and collect the findings.

    Args:
        images: The readable images of the source, with their facts.
        near: Near duplicates, as pairs of rows whose decoded pixels differ.
        config: The settings of `prepare`.
        fix: Put near duplicates into `duplicate_group` too.

    Raises:
        CatalogError: if nothing is left to train on.
    """
    rows, contents, ids = images.rows, images.contents, images.rows["id"].tolist()
    products, labels, given = (_values(rows[name]) for name in ("product", "label", "split"))
    keeps = config.near_duplicates.across_products == "keep"
    apart = Belonging(products=products, labels=labels) if keeps else None
    clusters = clusters_of_copies(ids, contents, near, apart=apart)
    open_set = config.split.protocol == "open_set"
    families = family_values(rows, images.group_columns, nothing=config.nothing)
    groups = group_keys(
        products=products,
        labels=labels if open_set else None,
        clusters=clusters,
        given=given,
        families=list(families.values()),
    )
    split = assign_splits(groups, given=given, val=config.split.val, test=config.split.test, seed=config.seed)
    aside = np.array(copies_to_set_aside(split.sides, clusters), dtype=bool)
    kept_sides = [None if out else side for side, out in zip(split.sides, aside, strict=True)]
    exact = duplicate_groups(ids, contents)
    grouped = fix or config.split.folds is not None  # a fold sets the other folds' copies aside by these groups
    told = pairs_to_tell(near, clusters_of_copies(ids, contents, near, apart=None))
    findings = [
        *images.findings,
        *groups_across_splits(split, groups=groups, ids=ids),
        *family_findings(groups, families=families, products=products),
        *copies_set_aside(ids, aside, clusters=clusters, sides=split.sides, products=products),
        *duplicate_findings(ids, exact, products=products, labels=labels),
        *near_duplicate_findings(ids, told, products=products, labels=labels, splits=kept_sides, kept=keeps),
        *picture_findings(
            ids,
            images.facts,
            smallest_side=config.inspection.smallest_side,
            largest_aspect=config.inspection.largest_aspect,
        ),
        *images_without("product", ids, products),
        *images_without("label", ids, labels),
        *images_without("split", ids, given),
        *product_findings(products, labels=labels),
        *label_findings(
            ids,
            labels,
            kept_sides,
            largest_imbalance=config.inspection.largest_imbalance,
            protocol=config.split.protocol,
        ),
        *caption_findings(ids, _values(rows["caption"]), products=products),
    ]
    kept = [row for row, out in enumerate(aside) if not out]
    kept_ids, keys = [ids[row] for row in kept], clusters if grouped else contents
    copies = duplicate_groups(kept_ids, [keys[row] for row in kept])
    table = _table(
        rows.iloc[kept].reset_index(drop=True),
        [images.facts[row] for row in kept],
        splits=[split.sides[row] for row in kept],
        duplicates=copies,
        near_duplicates=duplicate_groups(kept_ids, [clusters[row] for row in kept]),
    )
    if config.split.folds is not None:
        folds = assign_folds([groups[row] for row in kept], folds=config.split.folds, seed=config.seed)
        _refuse_empty_folds(folds, count=config.split.folds)
        table[FOLD_COLUMN] = np.array(folds, dtype=np.int32)
    _refuse_nothing_to_train_on(split.sides, contents, table)
    unreadable = [finding["id"] for finding in images.findings if finding["kind"] == "unreadable"]
    left_out = [ids[row] for row in np.flatnonzero(aside)]
    fixes = remedies(unreadable, set_aside=left_out, copies=copies, near=near, fix=grouped)
    counts = _counts(table, unreadable=len(unreadable), images=len(ids))
    counts["not_looked_at"] = sum(_files_beside(finding) for finding in images.findings)
    counts["products_set_aside"] = len({product for product in products if product is not None}) - counts["products"]
    return Assembled(rows=table, findings=findings, fixes=fixes, counts=counts)


def _table(
    rows: pd.DataFrame,
    facts: list[ImageFacts],
    *,
    splits: list[str],
    duplicates: list[str | None],
    near_duplicates: list[str | None],
) -> pd.DataFrame:
    """The catalogue's columns in their order, then the pixels' hash and near duplicates, then the source's own."""
    computed = {
        "split": text_column(splits),
        "width": pd.Series([fact.width for fact in facts], dtype="int32"),
        "height": pd.Series([fact.height for fact in facts], dtype="int32"),
        "sha256": text_column([fact.sha256 for fact in facts]),
        "duplicate_group": text_column(duplicates),
        "pixel_sha256": text_column([fact.pixel_sha256 for fact in facts]),
        NEAR_DUPLICATES: text_column(near_duplicates),
    }
    further = [name for name in rows.columns if name not in PARTS]
    order = [*COLUMNS, "pixel_sha256", NEAR_DUPLICATES, *further]
    return pd.DataFrame({name: computed[name] if name in computed else rows[name] for name in order})


def _files_beside(finding: dict[str, Any]) -> int:
    """How many files of the source a finding says were not looked at."""
    return 1 if finding["kind"] == "left_out" else int(finding.get("files", 0))


def _refuse_empty_folds(folds: list[int], *, count: int) -> None:
    empty = sorted(set(range(count)) - set(folds))
    if empty:
        raise CatalogError(f"split.folds: nothing falls into fold {empty[0]} of {count}; take fewer folds")


def _refuse_nothing_to_train_on(sides: list[str], contents: Sequence[str], table: pd.DataFrame) -> None:
    if "train" not in sides or (table["split"] == "train").any():
        return
    elsewhere = {content for content, side in zip(contents, sides, strict=True) if side != "train"}
    if all(content in elsewhere for content, side in zip(contents, sides, strict=True) if side == "train"):
        raise CatalogError(
            "nothing is left to train on: every image in train has the very pixels of one in val or test; name each "
            "picture in one split only, or let simtrain draw them: --set columns.split=false"
        )
    raise CatalogError(
        "nothing is left to train on: every image in train is a copy of one in val or test; "
        "--set near_duplicates.find=false lets only equal pixels count as copies"
    )


def _counts(table: pd.DataFrame, *, unreadable: int, images: int) -> dict[str, Any]:
    in_groups = table["duplicate_group"].dropna()
    by_split = {split: table[table["split"] == split] for split in SPLITS}
    return {
        "found": images + unreadable,
        "unreadable": unreadable,
        "set_aside": images - len(table),
        "images": len(table),
        "products": int(table["product"].nunique()),
        "labels": int(table["label"].nunique()),
        "images_per_split": {split: len(part) for split, part in by_split.items()},
        "products_per_split": {split: int(part["product"].nunique()) for split, part in by_split.items()},
        "labels_per_split": {split: int(part["label"].nunique()) for split, part in by_split.items()},
        "images_per_label": {str(label): int(count) for label, count in sorted(table["label"].value_counts().items())},
        "duplicate_groups": int(in_groups.nunique()),
        "duplicate_images": len(in_groups),
    }


def _values(column: pd.Series) -> list[str | None]:
    return [None if pd.isna(value) else str(value) for value in column]

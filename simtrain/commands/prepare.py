"""`simtrain prepare`: from a source of images to a verified, deduplicated and split catalogue."""

import json
import os
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from simtrain.catalog.inspect import (
    ImageFacts,
    duplicate_conflicts,
    duplicate_groups,
    inspect_images,
    single_image_labels,
)
from simtrain.catalog.progress import Progress, silent
from simtrain.catalog.sources import PARTS, Source
from simtrain.catalog.sources.opening import SYNTHETIC_FOLDER, open_source
from simtrain.catalog.sources.source import text_column
from simtrain.catalog.split import Split, assign_splits, group_images
from simtrain.catalog.staging import cannot_write, publish, staging_folder
from simtrain.catalog.table import CATALOG_FILE, COLUMNS, SPLITS, Catalog, read_catalog, stage_catalog
from simtrain.config import PrepareConfig
from simtrain.errors import CatalogError

FINDINGS_FILE = "findings.json"
_FORMAT_VERSION = 1
_EXAMPLES = 5


@dataclass(frozen=True, kw_only=True)
class PrepareReport:
    """What `prepare` did.

    Attributes:
        catalog: As it was written.
        counts: What `findings.json` counts.
        findings: What a person should know, each with a `kind`.
    """

    catalog: Catalog
    counts: dict[str, Any]
    findings: list[dict[str, Any]]

    def lines(self) -> list[str]:
        """A summary for a person, without markup."""
        folder = self.catalog.folder
        return [
            *_content_lines(self.counts),
            *_unreadable_lines(self.findings, where=folder / FINDINGS_FILE),
            *_finding_lines(self.counts, self.findings, where=folder / FINDINGS_FILE),
            f"catalogue: {folder / CATALOG_FILE}",
            f"next: simtrain fit CONFIG.yaml --set catalog={shlex.quote(str(folder))}",
        ]


def prepare(source: str, *, out: Path, config: PrepareConfig, progress: Progress = silent) -> PrepareReport:
    """Read, verify, deduplicate and split a source; write `catalog.parquet` and `findings.json`, both or none.

    Rows keep the order of a table; those of a folder are sorted by path. The same source, settings and `out` give the
    same bytes.

    Args:
        source: A folder of images, a `.csv` or `.parquet` table, `synthetic` or `synthetic:N`.
        out: The catalogue's folder; made if missing. One that exists is replaced at the very end.
        config: Settings.
        progress: Shows how many images have been read.

    Raises:
        CatalogError: if the source cannot be used as asked or none of its images can be read; nothing in `out` changes.
    """
    with staging_folder(out) as staging:
        _keep_what_is_not_ours(source, out)
        opened = open_source(source, config=config, output=out, staging=staging)
        paths = [opened.root / path for path in opened.rows["path"]]
        facts = inspect_images(paths, workers=config.workers or os.cpu_count() or 1, progress=progress)
        rows, findings = _catalog_rows(opened, facts, source=source, config=config)
        counts = _counts(rows, found=len(facts))
        generated = opened.root.is_relative_to(staging.resolve())
        root = out / SYNTHETIC_FOLDER if generated else opened.root
        told = {"format_version": _FORMAT_VERSION, "source": source, "counts": counts, "findings": findings}
        try:
            stage_catalog(Catalog(rows=rows, root=root, folder=out), staging / CATALOG_FILE)
            findings_json = json.dumps(told, indent=2, ensure_ascii=False) + "\n"
            (staging / FINDINGS_FILE).write_text(findings_json, encoding="utf-8")
            publish(staging, out, names=[SYNTHETIC_FOLDER, FINDINGS_FILE, CATALOG_FILE])
        except OSError as error:
            raise cannot_write(out, error) from None
    return PrepareReport(catalog=read_catalog(out), counts=counts, findings=findings)


def _catalog_rows(
    opened: Source, facts: list[ImageFacts], *, source: str, config: PrepareConfig
) -> tuple[pd.DataFrame, list[dict[str, Any]]]:
    findings = [*opened.findings, *_unreadable(opened, facts)]
    readable = [fact for fact in facts if fact.problem is None]
    if not readable:
        first = next(finding for finding in findings if finding["kind"] == "unreadable")
        raise CatalogError(
            f"{source}: none of its {len(facts)} images can be read; the first: {first['path']}: {first['reason']}"
        )
    rows = opened.rows[[fact.problem is None for fact in facts]].reset_index(drop=True)
    ids, contents = rows["id"].tolist(), [fact.pixel_sha256 for fact in readable]
    duplicates = duplicate_groups(ids, contents)
    products, labels = _values(rows["product"]), _values(rows["label"])
    findings += duplicate_conflicts(ids, duplicates, products, column="product")
    findings += duplicate_conflicts(ids, duplicates, labels, column="label")
    findings += single_image_labels(labels)
    groups = group_images(products=products, contents=contents)
    split = assign_splits(
        groups, given=_values(rows["split"]), val=config.split.val, test=config.split.test, seed=config.seed
    )
    if split.straddling:
        findings.append(_groups_across_splits(split, groups=groups, ids=ids))
    return _with_facts(rows, readable, splits=split.sides, duplicates=duplicates), findings


def _groups_across_splits(split: Split, *, groups: list[str], ids: list[str]) -> dict[str, Any]:
    first_id = dict(zip(reversed(groups), reversed(ids), strict=True))
    return {
        "kind": "groups_across_splits",
        "groups": len(split.straddling),
        "moved_images": split.moved,
        "examples": [first_id[group] for group in split.straddling[:_EXAMPLES]],
        "reason": "images of one product, or equal images, stood in several splits; each such group went whole to "
        "test, else to val",
    }


def _with_facts(
    rows: pd.DataFrame, facts: list[ImageFacts], *, splits: list[str], duplicates: list[str | None]
) -> pd.DataFrame:
    """The catalogue's columns in their order, then the pixels' hash, then the source's own."""
    computed = {
        "split": text_column(splits),
        "width": pd.Series([fact.width for fact in facts], dtype="int32"),
        "height": pd.Series([fact.height for fact in facts], dtype="int32"),
        "sha256": text_column([fact.sha256 for fact in facts]),
        "duplicate_group": text_column(duplicates),
        "pixel_sha256": text_column([fact.pixel_sha256 for fact in facts]),
    }
    further = [name for name in rows.columns if name not in PARTS]
    order = [*COLUMNS, "pixel_sha256", *further]
    return pd.DataFrame({name: computed[name] if name in computed else rows[name] for name in order})


def _values(column: pd.Series) -> list[str | None]:
    return [None if pd.isna(value) else str(value) for value in column]


def _unreadable(opened: Source, facts: list[ImageFacts]) -> list[dict[str, Any]]:
    names = zip(opened.rows["id"], opened.rows["path"], facts, strict=True)
    return [
        {"kind": "unreadable", "id": identifier, "path": path, "reason": fact.problem}
        for identifier, path, fact in names
        if fact.problem is not None
    ]


def _counts(rows: pd.DataFrame, *, found: int) -> dict[str, Any]:
    in_groups = rows["duplicate_group"].dropna()
    by_split = {split: rows[rows["split"] == split] for split in SPLITS}
    return {
        "found": found,
        "unreadable": found - len(rows),
        "images": len(rows),
        "products": int(rows["product"].nunique()),
        "labels": int(rows["label"].nunique()),
        "images_per_split": {split: len(part) for split, part in by_split.items()},
        "products_per_split": {split: int(part["product"].nunique()) for split, part in by_split.items()},
        "duplicate_groups": int(in_groups.nunique()),
        "duplicate_images": len(in_groups),
    }


def _keep_what_is_not_ours(source: str, out: Path) -> None:
    target = out / SYNTHETIC_FOLDER
    if _is_synthetic(source) and target.exists():
        try:
            previous = json.loads((out / FINDINGS_FILE).read_text(encoding="utf-8"))["source"]
        except (OSError, ValueError, KeyError, TypeError):
            previous = ""
        if not _is_synthetic(str(previous)):
            raise CatalogError(f"{target}: is no synthetic source and is not replaced; take another folder for --out")


def _is_synthetic(source: str) -> bool:
    return source.partition(":")[0] == "synthetic"


def _content_lines(counts: dict[str, Any]) -> list[str]:
    products = f" of {_count(counts['products'], 'product')}" if counts["products"] else ", no products named"
    labels = f", {_count(counts['labels'], 'label')}" if counts["labels"] else ", no labels"
    lines = [f"{_count(counts['images'], 'image')}{products}{labels}"]
    for split in SPLITS:
        of_products = counts["products_per_split"][split]
        line = f"  {split:5} {_count(counts['images_per_split'][split], 'image')}"
        lines.append(line + (f" of {_count(of_products, 'product')}" if of_products else ""))
    if counts["duplicate_groups"]:
        lines.append(
            f"{counts['duplicate_images']} images show the same picture as another, in "
            f"{_count(counts['duplicate_groups'], 'group')}; each group is in one split"
        )
    return lines


def _unreadable_lines(findings: list[dict[str, Any]], *, where: Path) -> list[str]:
    unreadable = [finding for finding in findings if finding["kind"] in ("unreadable", "left_out")]
    if not unreadable:
        return []
    lines = [f"left out: {_count(len(unreadable), 'file')}"]
    lines += [f"  {finding['path']}: {finding['reason']}" for finding in unreadable[:3]]
    return lines + ([f"  and {len(unreadable) - 3} more: see {where}"] if len(unreadable) > 3 else [])


def _finding_lines(counts: dict[str, Any], findings: list[dict[str, Any]], *, where: Path) -> list[str]:
    lines = []
    for finding in findings:
        match finding["kind"]:
            case "groups_across_splits":
                lines.append(
                    f"{_count(finding['groups'], 'group')} of one product or picture stood in several splits; moved "
                    f"{_count(finding['moved_images'], 'image')} to the strictest (test, else val)"
                )
            case "images_outside_split_folders":
                lines.append(
                    f"{', '.join(finding['split_folders'])} read as split, but {_count(finding['images'], 'image')} "
                    f"lie elsewhere, such as {finding['examples'][0]}; if all folders are labels: --set levels=[label]"
                )
            case "renamed_column":
                lines.append(f"column '{finding['column']}' is kept as '{finding['kept_as']}'")
    differ = sum(finding["kind"] == "duplicates_differ" for finding in findings)
    single = sum(finding["kind"] == "label_with_one_image" for finding in findings)
    if differ:
        lines.append(f"equal pictures with different products or labels: {_count(differ, 'case')}, see {where}")
    if single:
        lines.append(f"labels with a single image: {single} of {counts['labels']}")
    return lines


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"

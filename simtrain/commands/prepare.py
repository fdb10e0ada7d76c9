"""`simtrain prepare`: a verified, deduplicated and split catalogue with its image store, from a source of images."""

import json
import os
import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from simtrain.catalog.assembly import Assembled, assemble
from simtrain.catalog.inspection.duplicates import Pair
from simtrain.catalog.inspection.near_duplicates import near_duplicates
from simtrain.catalog.inspection.reading import Reading, ReadingSettings, list_files, read_files
from simtrain.catalog.ownership import refuse_to_replace
from simtrain.catalog.prepare_report import (
    FINDINGS_FILE,
    SUMMARY_FILE,
    PrepareReport,
    read_report,
    write_findings,
)
from simtrain.catalog.readable import ReadableImages, readable_images, unique_images
from simtrain.catalog.sources.generated import made_from_what
from simtrain.catalog.sources.opened import OpenedSource, expanded
from simtrain.catalog.sources.opening import Opening, open_source
from simtrain.catalog.sources.own_rows import RowsFunction
from simtrain.catalog.staging import MADE_FOLDER, PLAN_FILE, SHARDS_FOLDER, cannot_write, publish, work_folder
from simtrain.catalog.store.checking import usable_rows
from simtrain.catalog.store.layout import RECORD_FILE, Record, StoreSettings, read_record, write_record
from simtrain.catalog.store.moving import move_shards, remove_unused, size_of_stores
from simtrain.catalog.store.planning import StorePlan, better_kind_fits, free_disk, plan_store
from simtrain.catalog.summary import SummaryContent, write_summary
from simtrain.catalog.table import CATALOG_FILE, FOLD_COLUMN, Catalog, stage_catalog
from simtrain.catalog.thumbnails import Thumbnails
from simtrain.catalog.unchanged import RULES, Request, is_of_root, unchanged_record
from simtrain.config import PrepareConfig
from simtrain.console import SILENT, Console
from simtrain.data.fashion_mnist_download import fetch_fashion_mnist
from simtrain.errors import CatalogError
from simtrain.own_code import path_of

_RESULTS = [RECORD_FILE, FINDINGS_FILE, SUMMARY_FILE, CATALOG_FILE]


def prepare(
    source: str | RowsFunction, *, out: Path, config: PrepareConfig, fix: bool = False, console: Console = SILENT
) -> PrepareReport:
    """Read, verify, deduplicate, split and store the images of a source.

    Writes `catalog.parquet`, `findings.json`, `summary.html` and the image store (`images.*`), all or none. Rows keep
    the order of a table; those of a folder are sorted by path. The same source, settings and `out` give the same bytes,
    also after a run that was killed: it is gone on with. Nothing is read again of files whose stats have not changed.

    Args:
        source: A folder of images, a `.csv` or `.parquet` table, `synthetic[:N]`, `kaggle:OWNER/NAME`, `digikala`,
            `fashion-mnist[:PATH]`, `python:MODULE:FUNCTION`; or that function itself.
        out: The catalogue's folder; made if missing. One that exists is replaced at the very end.
        config: The settings of `prepare`.
        fix: Apply the safe remedies: near duplicates join `duplicate_group`.
        console: Shows how many images have been read.

    Raises:
        CatalogError: if the source cannot be used as asked or none of its images can be read; nothing in `out` changes.
    """
    out = expanded(str(out))
    rows = None if isinstance(source, str) else source
    source = source if isinstance(source, str) else f"python:{path_of(source)}"
    _refuse_odd_names(source, out)
    refuse_to_replace(out, results=_RESULTS, inputs=[expanded(source)])
    request = Request(source=source, config=config, fix=fix, out=out)
    with work_folder(out, console=console) as work:
        unchanged = unchanged_record(request)
        if unchanged is not None:
            remove_unused(out, settings=unchanged.settings, table=unchanged.table)  # of a run killed at its very end
            return read_report(out, fresh=None)
        opening = Opening(work=work, output=out, fetch_fashion_mnist=fetch_fashion_mnist, console=console, rows=rows)
        opened = open_source(source, config=config, opening=opening)
        _refuse_own_folds(opened, config)
        try:
            read = _read(opened, request, work=work, console=console)
            images = readable_images(opened.source, read.reading.table, name=source)
            near = _near_duplicates(images, opened, config=config, console=console)
            assembled = assemble(images, near=near, config=config, fix=fix)
            _write(assembled, read, opened, request, work=work)
        except OSError as error:
            raise cannot_write(out, error) from None
    return read_report(out, fresh=read.reading.fresh)


@dataclass(frozen=True, kw_only=True)
class _ReadSource:
    """Every different file of a source, read into the image store.

    Attributes:
        reading: Facts of every file.
        store: Settings of the image store.
        reason: Why it keeps them so, for the user.
    """

    reading: Reading
    store: StoreSettings
    reason: str


def _read(opened: OpenedSource, request: Request, *, work: Path, console: Console) -> _ReadSource:
    """Read every different file: its facts, and its image into the store."""
    root, config = opened.source.root, request.config
    paths = list(dict.fromkeys(opened.source.rows["path"]))
    files = list_files(root, paths)
    known = read_record(request.out, columns=None)
    if known is not None and not is_of_root(known, root, out=request.out):
        known = None
    plan = _plan(opened, config, paths=paths, work=work, out=request.out)
    quality = config.store.quality if plan.kind == "jpeg" else 0
    settings = StoreSettings(kind=plan.kind, side=config.store.side, quality=quality)
    if known is not None:
        rows = usable_rows(request.out, known, listed=set(paths)) if known.settings == settings else None
        known = Record(table=rows, settings=settings, origin={}) if rows is not None else None
    reading = read_files(
        root,
        files,
        known=known,
        settings=ReadingSettings(
            origin=json.dumps(made_from_what(root), sort_keys=True) if made_from_what(root) is not None else str(root),
            store=settings,
            largest_pixels=round(config.inspection.largest_megapixels * 1e6),
            work=work / SHARDS_FOLDER,
            workers=config.workers or os.cpu_count() or 1,
        ),
        console=console,
    )
    return _ReadSource(reading=reading, store=settings, reason=plan.reason)


def _plan(opened: OpenedSource, config: PrepareConfig, *, paths: list[str], work: Path, out: Path) -> StorePlan:
    """Choose the kind of image store; an interrupted run's choice and files stay, unless a better kind fits now."""
    begun = work / SHARDS_FOLDER / PLAN_FILE
    root = opened.source.root
    asked = {"rules": RULES, "root": str(root), "made_from": made_from_what(root), "store": config.store.model_dump()}
    files, side, free = [root / path for path in paths], config.store.side, free_disk(out) + size_of_stores(out)
    with suppress(OSError, ValueError, KeyError, TypeError, RecursionError):  # no run was interrupted here
        note = json.loads(begun.read_text(encoding="utf-8"))
        made = sum(path.stat().st_size for path in begun.parent.iterdir())
        automatic = config.store.kind == "auto"
        if note["asked"] == asked and not (
            automatic and better_kind_fits(note["kind"], files, side=side, free_bytes=free + made)
        ):
            return StorePlan(kind=note["kind"], reason=note["reason"])
    shutil.rmtree(work / SHARDS_FOLDER)  # of another source
    (work / SHARDS_FOLDER).mkdir()
    if config.store.kind == "auto":
        plan = plan_store(files, side=side, free_bytes=free)
    else:
        plan = StorePlan(kind=config.store.kind, reason="as configured")
    begun.write_text(json.dumps({"asked": asked, "kind": plan.kind, "reason": plan.reason}), encoding="utf-8")
    return plan


def _near_duplicates(
    images: ReadableImages, opened: OpenedSource, *, config: PrepareConfig, console: Console
) -> list[Pair]:
    settings = config.near_duplicates
    if not settings.find:
        return []
    rows, fingerprints = unique_images(images)
    loose = settings.encoder is not None
    found = near_duplicates(fingerprints, mirrored=settings.mirrored, loose=loose, console=console)
    pairs = [(int(rows[pair.first]), int(rows[pair.second]), pair.similarity, pair.mirrored) for pair in found]
    if settings.encoder is None or not pairs:
        return pairs
    from simtrain.builders.near_duplicate_verification import confirmed_pairs  # torch

    paths = [opened.source.root / path for path in images.rows["path"]]
    return confirmed_pairs(pairs, paths, encoder=settings.encoder, similarity=settings.similarity, console=console)


def _write(assembled: Assembled, read: _ReadSource, opened: OpenedSource, request: Request, *, work: Path) -> None:
    """Write everything to the work folder, then move it to the catalogue's folder."""
    out, root, settings, table = request.out, opened.source.root, read.store, read.reading.table
    made = root.is_relative_to(work.resolve())
    final_root = out / MADE_FOLDER if made else root
    stage_catalog(Catalog(rows=assembled.rows, root=final_root, folder=out), work / CATALOG_FILE)
    content = SummaryContent(
        source=request.source,
        counts=assembled.counts,
        findings=assembled.findings,
        fixes=assembled.fixes,
        store=f"{settings.description()} ({read.reason})",
    )
    write_findings(work / FINDINGS_FILE, content)
    write_summary(work / SUMMARY_FILE, content, thumbnail=Thumbnails(root=root, rows=opened.source.rows))
    results = [work / name for name in (FINDINGS_FILE, SUMMARY_FILE, CATALOG_FILE)]
    origin = request.origin(opened, root=final_root, results=results)
    write_record(Record(table=table, settings=settings, origin=origin), work / RECORD_FILE)
    with move_shards(work / SHARDS_FOLDER, out, settings=settings, table=table):
        publish(work, out, names=[MADE_FOLDER, *_RESULTS] if made else _RESULTS)
    remove_unused(out, settings=settings, table=table)
    _remove_made_before(out / MADE_FOLDER, used=[final_root, *(Path(str(path)) for path, _, _ in opened.inputs)])


def _remove_made_before(folder: Path, *, used: list[Path]) -> None:
    """Remove the images that were made for the catalogue before, unless this one needs them."""
    place = folder.resolve()
    needed = any(path.resolve().is_relative_to(place) or place.is_relative_to(path.resolve()) for path in used)
    if not needed and made_from_what(folder) is not None:
        shutil.rmtree(folder)


def _refuse_odd_names(source: str, out: Path) -> None:
    if not source.strip():
        raise CatalogError("SOURCE is empty; give a folder, a table, or synthetic")
    for name in (source, str(out)):
        try:
            name.encode()
        except UnicodeEncodeError:
            raise CatalogError(f"{name!a}: the name is not UTF-8 text; rename the folder") from None


def _refuse_own_folds(opened: OpenedSource, config: PrepareConfig) -> None:
    if config.split.folds is not None and FOLD_COLUMN in opened.source.rows.columns:
        raise CatalogError(
            f"split.folds: the source has a column '{FOLD_COLUMN}' of its own; drop split.folds to keep it"
        )

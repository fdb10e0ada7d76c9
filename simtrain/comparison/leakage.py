"""Leakage check: whether a run, or a run that it started from, was trained on the images it is evaluated on."""

from __future__ import annotations

from pathlib import Path

from simtrain.catalog.table import Catalog, read_catalog
from simtrain.console import Console
from simtrain.errors import CatalogError, CheckpointError
from simtrain.runs.run import Run, data_fingerprint, open_run
from simtrain.training.file_names import BEST


def check_run(run: Run, catalog: Catalog, *, console: Console) -> None:
    """Refuse a run that cannot be evaluated, or that may have been trained on the evaluated images.

    Args:
        run: Run to compare.
        catalog: Catalogue whose splits it is evaluated on.
        console: Shows a line where a run that it started from is missing, so that its training images are unknown.

    Raises:
        CheckpointError: for a run without weights or of another catalogue, or begun from a run of another fold, or of
            another catalogue whose pictures are not known to be others.
    """
    if not (run.folder / BEST).is_file():
        raise CheckpointError(
            f"{run.folder / BEST}: no such checkpoint; resume with: simtrain fit --resume {run.folder}"
        )
    _check_data(run, run, catalog)
    seen, one = {run.folder.resolve()}, run
    while one.config.init_from is not None:
        try:
            one = open_run(one.config.init_from, checkpoints=Path(one.config.checkpoints).expanduser())
        except CheckpointError:
            console.line(
                f"{run.folder.name}: began from {one.config.init_from}, which is gone: what that was trained on is not "
                "known"
            )
            return
        if one.folder.resolve() in seen:
            return
        seen.add(one.folder.resolve())
        _check_data(run, one, catalog)


def _check_data(run: Run, ancestor: Run, catalog: Catalog) -> None:
    """Of the run itself, or of one that it goes back to."""
    through = "" if ancestor is run else f" began from {ancestor.folder.name}, which was"
    data = ancestor.record.get("data", {})
    if data.get("sha256") != data_fingerprint(catalog)["sha256"]:
        if ancestor is not run and _shares_no_picture(ancestor, catalog):
            return
        raise CheckpointError(
            f"--run {run.folder.name}:{through} trained on {data.get('catalog', 'a catalogue')} as it was then, which "
            f"is not what {catalog.folder} is now; its training images may be among the queries"
        )
    if ancestor.config.fold != run.config.fold:
        raise CheckpointError(
            f"--run {run.folder.name}:{through} trained with fold {ancestor.config.fold}, whose training images may be "
            f"among the queries of fold {run.config.fold}"
        )


def _shares_no_picture(ancestor: Run, catalog: Catalog) -> bool:
    """Whether the other catalogue is still what it was, and has no picture of this one."""
    try:
        other = read_catalog(Path(ancestor.record["data"]["catalog"]))
    except (CatalogError, KeyError):
        return False
    if data_fingerprint(other)["sha256"] != ancestor.record["data"]["sha256"]:
        return False
    pictures = [set(one.rows["pixel_sha256"].dropna()) for one in (other, catalog) if "pixel_sha256" in one.rows]
    return len(pictures) == 2 and not (pictures[0] & pictures[1])

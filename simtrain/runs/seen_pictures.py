"""Whether a run was trained on pictures of another catalogue that it is evaluated on."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from simtrain.catalog.table import Catalog, read_catalog
from simtrain.errors import CatalogError
from simtrain.phrases import counted
from simtrain.runs.run import Run, data_fingerprint, is_own_catalog

_PIXELS = "pixel_sha256"


def seen_pictures_line(run: Run, catalog: Catalog, queries: NDArray[np.int64]) -> str | None:
    """A warning for the user; None: the catalogue is the run's own, whose splits say it, or shows other pictures.

    Args:
        run: The run.
        catalog: The catalogue that it is evaluated on.
        queries: (Q,) rows of its queries.
    """
    if is_own_catalog(catalog, run):
        return None
    trained = _trained_pictures(run)
    if trained is None or _PIXELS not in catalog.rows:
        return (
            f"warning: the catalogue of {run.name} is no longer what it was trained on, so that it is not known "
            "whether it has seen these pictures"
        )
    seen = int(catalog.rows[_PIXELS].iloc[queries].isin(trained).sum())
    if not seen:
        return None
    return (
        f"warning: {run.name} was trained on the pictures of {seen} of {counted(len(queries), 'query', 'queries')}: "
        "these figures are too good"
    )


def _trained_pictures(run: Run) -> set[str] | None:
    """Hashes of the pixels that a run was trained on; None: its catalogue is gone or has changed."""
    try:
        own = read_catalog(Path(run.record["data"]["catalog"]))
    except (CatalogError, KeyError):
        return None
    if data_fingerprint(own)["sha256"] != run.record["data"]["sha256"] or _PIXELS not in own.rows:
        return None
    own = own if run.own_fold is None else own.with_fold(run.own_fold)
    return set(own.rows.loc[own.rows["split"] == "train", _PIXELS])

"""2-D projection of embeddings by PCA or UMAP. Near points are often alike, far ones need not differ."""

# Shapes: N images, D dimensions of an embedding.

from __future__ import annotations

import atexit
import importlib
import importlib.util
import sys
import tempfile
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from simtrain.errors import SimtrainError

_NO_CACHE = "cannot cache function"
"""In the message of numba, UMAP's compiler."""
_NEIGHBOURS = 15
"""Number of neighbours of each point that UMAP keeps near: its authors' default."""
_COMPILED = ("umap.utils", "umap.layouts", "umap.umap_")
"""Modules of UMAP whose functions it compiles anew in each process: 20 seconds."""
_SPECTRAL_LEAST = 16
"""Points below which UMAP's usual first layout, by eigenvectors, can fail."""


def umap_available() -> bool:
    """Whether the extra `map` is installed."""
    return importlib.util.find_spec("umap") is not None


def load_umap() -> str | None:
    """Import UMAP, whose compiler keeps what it compiles on disk; where there is no place, for this process alone.

    Without write access to its own folders and to the home folder, as in many containers, the import itself fails.

    Returns:
        What the user should know; None: nothing.

    Raises:
        SimtrainError: if it is not installed, or there is no folder at all that it can keep its code in.
    """
    if not umap_available():
        raise SimtrainError("map_method: 'umap' needs the extra: pip install 'simtrain[map]'; or choose pca")
    try:
        importlib.import_module("umap")  # seconds, as it compiles
    except RuntimeError as error:
        if _NO_CACHE not in str(error):
            raise
    else:
        _keep_compiled()
        return None
    import numba

    try:
        folder = tempfile.TemporaryDirectory(prefix="simtrain-umap-")
    except OSError as error:
        raise SimtrainError(
            f"map_method: 'umap' finds no folder to write compiled code to ({error.strerror})"
        ) from None
    atexit.register(folder.cleanup)
    numba.config.CACHE_DIR = folder.name  # type: ignore[attr-defined]  # its module fills itself at import
    importlib.import_module("umap")
    _keep_compiled()
    return (
        f"umap: neither its own folder nor the home folder can be written to; it is compiled for this time only, in "
        f"{folder.name} (set NUMBA_CACHE_DIR to keep it)"
    )


def _keep_compiled() -> None:
    """Have the compiler keep on disk what UMAP compiles at its first use too, as it keeps what the import compiles."""
    from numba.core.dispatcher import Dispatcher

    for module in (sys.modules[name] for name in _COMPILED if name in sys.modules):
        for function in vars(module).values():
            if isinstance(function, Dispatcher) and function.py_func.__module__ == module.__name__:
                function.enable_caching()


def plane(embeddings: Tensor, *, method: Literal["pca", "umap"], seed: int) -> NDArray[np.float64]:
    """Coordinates (N, 2); the same embeddings and seed give the same ones on one machine.

    Args:
        embeddings: (N, D) finite; N at least 1.
        method: `pca` keeps distances as well as a plane can, and each axis points where its largest weight is positive;
            `umap` keeps neighbours: McInnes et al. 2018, https://arxiv.org/abs/1802.03426.
        seed: Seed of UMAP; >= 0. PCA draws nothing.

    Raises:
        SimtrainError: For `umap`, if the extra is not installed.
        ValueError: For embeddings of another shape.
    """
    if embeddings.ndim != 2 or len(embeddings) == 0:
        raise ValueError(f"embeddings has shape {tuple(embeddings.shape)}; allowed: (N, D) with N at least 1")
    rows = embeddings.detach().to(device="cpu", dtype=torch.float64)
    if method == "pca":
        return _pca(rows)
    load_umap()
    return _umap(rows, seed=seed) if len(rows) > 2 else _pca(rows)  # of two points each is the other's neighbour


def _pca(rows: Tensor) -> NDArray[np.float64]:
    centred = rows - rows.mean(dim=0)
    _, _, axes = torch.linalg.svd(centred, full_matrices=False)
    axes = axes[:2]
    largest = axes.abs().argmax(dim=1, keepdim=True)
    axes = axes * torch.where(axes.gather(1, largest) < 0, -1.0, 1.0)
    points = np.zeros((len(rows), 2))
    points[:, : len(axes)] = (centred @ axes.T).numpy()
    return points


def _umap(rows: Tensor, *, seed: int) -> NDArray[np.float64]:
    import umap

    reducer = umap.UMAP(
        n_components=2,
        n_neighbors=min(_NEIGHBOURS, len(rows) - 1),
        metric="cosine",
        init="spectral" if len(rows) >= _SPECTRAL_LEAST else "random",
        random_state=seed,
        n_jobs=1,
    )
    points: NDArray[np.float64] = np.asarray(reducer.fit_transform(rows.numpy()), dtype=np.float64)
    return points

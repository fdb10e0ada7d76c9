"""Download of Fashion-MNIST by torchvision."""

import shutil
from http.client import HTTPException
from pathlib import Path

from simtrain.errors import CatalogError


def fetch_fashion_mnist(folder: Path) -> Path:
    """Download Fashion-MNIST by torchvision, which checks what it gets, and return where its files lie.

    Raises:
        CatalogError: without network, or if what comes is not what it should be.
    """
    from torchvision.datasets import FashionMNIST

    folder.mkdir(parents=True, exist_ok=True)
    try:
        FashionMNIST(str(folder), download=True)
    except (OSError, RuntimeError, HTTPException) as error:
        shutil.rmtree(folder)  # 30 MB: begun anew the next time
        reason = " ".join(str(error).split()) or type(error).__name__
        raise CatalogError(
            f"fashion-mnist: cannot be downloaded: {reason}; with a local copy (Debian's package "
            "dataset-fashion-mnist, for one) give fashion-mnist:FOLDER"
        ) from None
    return folder

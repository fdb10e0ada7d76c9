"""Fashion-MNIST by torchvision, whose download is only claimed."""

from http.client import IncompleteRead
from pathlib import Path
from typing import Any

import pytest
import torchvision.datasets

from simtrain.data.fashion_mnist_download import fetch_fashion_mnist
from simtrain.errors import CatalogError


def test_the_folder_is_where_torchvision_was_told_to_put_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, Any]] = []
    monkeypatch.setattr(torchvision.datasets, "FashionMNIST", lambda root, download: asked.append((root, download)))
    folder = tmp_path / "new" / "downloaded"
    assert fetch_fashion_mnist(folder) == folder
    assert asked == [(str(folder), True)]
    assert folder.is_dir()


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (OSError("no route\n to host"), "no route to host"),
        (RuntimeError("File not found or corrupted."), "File not found or corrupted."),
        (IncompleteRead(b""), "IncompleteRead(0 bytes read)"),
        (OSError(), "OSError"),
    ],
)
def test_a_download_that_fails_is_told_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, reason: str
) -> None:
    def fail(root: str, *, download: bool) -> None:
        (Path(root) / "half").write_text("of it")
        raise error

    monkeypatch.setattr(torchvision.datasets, "FashionMNIST", fail)
    with pytest.raises(CatalogError) as caught:
        fetch_fashion_mnist(tmp_path / "downloaded")
    assert str(caught.value).startswith(f"fashion-mnist: cannot be downloaded: {reason}; with a local copy ")
    assert not (tmp_path / "downloaded").exists()

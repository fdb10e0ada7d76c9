"""What tests of the configuration share."""

from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str | bytes], Path]:
    """Writes `shop.yaml`, and gives its path."""

    def write(text: str | bytes) -> Path:
        path = tmp_path / "shop.yaml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write

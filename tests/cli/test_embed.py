"""`simtrain embed` on the command line."""

from pathlib import Path

import pytest
from small_commands import Command, write_shop


def test_a_folder_that_is_no_bundle_is_refused(simtrain: Command, tmp_path: Path) -> None:
    write_shop(tmp_path / "shop", classes={"mug": 1})
    status, output, error = simtrain("embed", "shop", "shop", "--out", "embeddings")
    assert (status, output) == (2, "")
    assert error.startswith("error: shop")
    assert not (tmp_path / "embeddings").exists()


@pytest.mark.parametrize(
    ("option", "told"),
    [
        (("--engine", "spark"), "'spark' is not one of 'local', 'ray'"),
        (("--precision", "int8"), "'int8' is not one of 'float16', 'float32'"),
        (("--processes", "0"), "'--processes': Input should be greater than or equal to 1"),
        (("--set", "columns.pth=file"), "did you mean"),
    ],
)
def test_options_that_are_not_allowed(simtrain: Command, option: tuple[str, str], told: str) -> None:
    status, output, error = simtrain("embed", "bundle", "pictures", "--out", "embeddings", *option)
    assert (status, output) == (2, "")
    assert told in error

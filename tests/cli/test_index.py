"""`simtrain index` on the command line."""

from pathlib import Path

import pytest
from small_commands import Command, write_shop


@pytest.mark.parametrize("verb", ["add", "update"])
def test_a_folder_that_is_no_bundle_is_refused(simtrain: Command, tmp_path: Path, verb: str) -> None:
    write_shop(tmp_path / "shop", classes={"mug": 1})
    status, output, error = simtrain("index", verb, "shop", "shop")
    assert (status, output) == (2, "")
    assert error.startswith("error: shop: exists and is not a bundle")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["shop"]


def test_remove_wants_ids(simtrain: Command, tmp_path: Path) -> None:
    told = "error: index remove: name ids, or a file with an id a line: --ids FILE\n"
    assert simtrain("index", "remove", "bundle") == (2, "", told)
    (tmp_path / "ids.txt").write_bytes(b"\xff\xfe\x00")
    assert simtrain("index", "remove", "bundle", "--ids", "ids.txt") == (2, "", "error: ids.txt: is no text in UTF-8\n")
    status, _, error = simtrain("index", "remove", "bundle", "--ids", "none.txt")
    assert (status, error) == (2, "error: none.txt: cannot be read: No such file or directory\n")


def test_a_misspelt_verb_is_told(simtrain: Command) -> None:
    status, _, error = simtrain("index", "ad", "bundle", "shop")
    assert status == 2
    assert "No such command 'ad'" in error

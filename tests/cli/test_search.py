"""`simtrain search` on the command line."""

from pathlib import Path

from small_commands import Command, write_shop


def test_a_folder_that_is_no_bundle_is_refused(simtrain: Command, tmp_path: Path) -> None:
    write_shop(tmp_path / "shop", classes={"mug": 1})
    status, _, error = simtrain("search", "shop", "--image", "shop/mug/0.jpg")
    assert status == 2
    assert error.startswith("error: shop")


def test_search_wants_an_image_or_a_text(simtrain: Command) -> None:
    assert simtrain("search", "bundle") == (2, "", 'error: search: give either --image PATH or --text "..."\n')

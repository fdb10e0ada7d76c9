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


def test_what_is_no_file_of_a_picture_is_told(simtrain: Command, tmp_path: Path) -> None:
    address = "http://shop.example/mug.jpg"
    for given, told in (
        (str(tmp_path), f"{tmp_path}: is a folder; name one picture in it"),
        (address, "http:/shop.example/mug.jpg: an address; download the picture, and name its file"),
    ):
        status, _, error = simtrain("search", str(tmp_path), "--image", given)
        assert (status, error) == (2, f"error: search: --image {told}\n")


def test_an_empty_argument_is_refused(simtrain: Command) -> None:
    told = "error: an argument after --image is empty, as where a shell's variable is not set\n"
    assert simtrain("search", "bundle", "--image", "") == (2, "", told)


def test_misuse_names_the_help_of_the_verb(simtrain: Command) -> None:
    assert simtrain("index", "verify")[2].endswith("See: simtrain index verify --help\n")

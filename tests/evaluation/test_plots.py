"""The picture of what a search found, read back pixel by pixel."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from simtrain.errors import SimtrainError
from simtrain.evaluation.plots import NeighbourTile, QueryStrip, check_plot_path, neighbour_strip

GREEN, RED, NEUTRAL, INK, PALE = (26, 127, 55), (207, 34, 46), (196, 201, 207), (31, 35, 40), (230, 232, 235)
BLUE, ORANGE = (0, 0, 255), (255, 128, 0)


def flat(colour: tuple[int, int, int], *, height: int, width: int) -> NDArray[np.uint8]:
    return np.full((height, width, 3), colour, dtype=np.uint8)


@pytest.fixture
def product(tmp_path: Path) -> Path:
    path = tmp_path / "product.jpg"
    Image.fromarray(flat(ORANGE, height=30, width=60)).save(path, format="PNG")
    return path


def tile(path: Path, *, relevant: bool | None = None, caption: str | None = None) -> NeighbourTile:
    return NeighbourTile(path=path, similarity=0.876, caption=caption, relevant=relevant)


def draw(path: Path, *tiles: NeighbourTile) -> NDArray[np.uint8]:
    query = QueryStrip(image=flat(BLUE, height=50, width=50), caption="mine", neighbours=tiles)
    neighbour_strip(path, [query])
    return np.asarray(Image.open(path).convert("RGB"))


def count(picture: NDArray[np.uint8], colour: tuple[int, int, int]) -> int:
    return int((picture == colour).all(axis=2).sum())


def first_column(picture: NDArray[np.uint8], colour: tuple[int, int, int]) -> int:
    return int(np.flatnonzero((picture == colour).all(axis=2).any(axis=0))[0])


@pytest.mark.parametrize(("relevant", "colour"), [(True, GREEN), (False, RED), (None, NEUTRAL)])
def test_the_frame_says_whether_it_is_relevant(
    relevant: bool | None, colour: tuple[int, int, int], product: Path, tmp_path: Path
) -> None:
    picture = draw(tmp_path / "a.png", tile(product, relevant=relevant))
    assert count(picture, colour) > 1000
    assert all(count(picture, other) == 0 for other in (GREEN, RED, NEUTRAL) if other != colour)


def test_the_query_is_left_of_its_neighbours_on_white(product: Path, tmp_path: Path) -> None:
    picture = draw(tmp_path / "a.png", tile(product), tile(product))
    assert first_column(picture, INK) < first_column(picture, BLUE) < first_column(picture, ORANGE)
    assert picture[0, 0].tolist() == picture[-1, -1].tolist() == [255, 255, 255]


def test_a_picture_keeps_its_proportions(product: Path, tmp_path: Path) -> None:
    orange = (draw(tmp_path / "a.png", tile(product)) == ORANGE).all(axis=2)
    width, height = orange.any(axis=0).sum(), orange.any(axis=1).sum()
    assert width / height == pytest.approx(2, rel=0.06)  # 60 × 30; the frame covers a little of the longer side


@pytest.mark.parametrize("damaged", [False, True])
def test_a_missing_image_is_a_grey_tile(damaged: bool, tmp_path: Path) -> None:
    gone = tmp_path / "gone.jpg"
    if damaged:
        gone.write_bytes(b"not an image")
    picture = draw(tmp_path / "a.png", tile(gone))
    assert count(picture, PALE) > 0.9 * count(picture, BLUE)


def test_rows_may_differ_in_length_and_be_empty(product: Path, tmp_path: Path) -> None:
    strips = [
        QueryStrip(image=flat(BLUE, height=9, width=9), caption=None, neighbours=[tile(product)] * number)
        for number in (3, 0, 1)
    ]
    neighbour_strip(tmp_path / "a.png", strips)
    three = np.asarray(Image.open(tmp_path / "a.png"))
    neighbour_strip(tmp_path / "b.png", strips[1:2])
    one = np.asarray(Image.open(tmp_path / "b.png"))
    assert three.shape[0] > 2.5 * one.shape[0]
    assert three.shape[1] > 3.5 * one.shape[1]


@pytest.mark.parametrize("caption", ["price $5_000$ and $\\frac{", "椅子 🪑 " * 20, "x" * 300, "line\nbreak", ""])
@pytest.mark.filterwarnings("error")
def test_any_caption_can_be_drawn(caption: str, product: Path, tmp_path: Path) -> None:
    picture = draw(tmp_path / "a.png", tile(product, caption=caption))
    assert count(picture, ORANGE) > 100  # the product stands there, whatever stands below it
    assert count(picture, BLUE) > 100


def test_it_replaces_a_picture_and_leaves_nothing_else(product: Path, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_text("old")
    draw(tmp_path / "a.png", tile(product))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.png", "product.jpg"]


def test_a_failure_leaves_the_old_picture(product: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.png").write_text("old")

    def fail(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("matplotlib.figure.Figure.savefig", fail)
    with pytest.raises(SimtrainError, match=r"a\.png: cannot be written: No space left on device$"):
        draw(tmp_path / "a.png", tile(product))
    assert (tmp_path / "a.png").read_text() == "old"


def test_a_path_that_cannot_be_is_told_before_any_work(tmp_path: Path) -> None:
    for path, reason in (
        (tmp_path / "a.bmp", "got the suffix '.bmp'; allowed: .png"),
        (tmp_path / "a", "got the suffix ''; allowed: .png"),
    ):
        with pytest.raises(SimtrainError) as caught:
            check_plot_path(path)
        assert str(caught.value) == f"{path}: {reason}"
    with pytest.raises(ValueError, match=r"^queries is empty; allowed: 1 or more$"):
        neighbour_strip(tmp_path / "a.png", [])

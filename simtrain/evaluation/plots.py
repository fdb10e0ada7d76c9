"""Plot of queries with their nearest images."""

# Shapes: H × W pixels as they came; the picture has Q rows, one per query, of 1 + K tiles.

import textwrap
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from simtrain.catalog.images import read_image
from simtrain.errors import CatalogError, SimtrainError, system_reason
from simtrain.files import whole_file

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_TILE_INCHES, _GAP_INCHES, _MARGIN_INCHES = 1.6, 0.14, 0.18
_TEXT_INCHES = 0.58  # two lines of caption and the similarity
_QUERY_GAP_INCHES = 0.34  # sets the query apart from its answers
_PIXELS_PER_INCH = 150
_CAPTION_WIDTH, _CAPTION_LINES = 23, 2
_INK, _GREY, _PALE = "#1f2328", "#6e7781", "#e6e8eb"
_FRAMES = {True: "#1a7f37", False: "#cf222e", None: "#c4c9cf"}
_MARKS = {True: "  \N{CHECK MARK}", False: "  \N{BALLOT X}", None: ""}  # for eyes that red and green look alike to


@dataclass(frozen=True, kw_only=True)
class NeighbourTile:
    """One item of a query's results, for plotting."""

    path: Path | None
    """Image file; one that is gone, not known (None) or cannot be read becomes a grey tile that says so."""

    similarity: float
    """Cosine, -1..1."""

    caption: str | None
    """Shown shortened to two lines."""

    relevant: bool | None
    """Green frame, red frame, or a neutral one where it is not known."""


@dataclass(frozen=True, kw_only=True)
class QueryStrip:
    """One query and its results, nearest first, for plotting."""

    image: NDArray[np.uint8]
    """(H, W, 3) RGB."""

    caption: str | None
    """Shown below the query."""

    neighbours: Sequence[NeighbourTile]


def check_plot_path(path: Path) -> None:
    """Refuse, before any work is done, a path that `neighbour_strip` would refuse.

    Raises:
        SimtrainError: if it does not end in .png, or its folder does not exist.
    """
    if path.suffix.lower() != ".png":
        raise SimtrainError(f"{path}: got the suffix '{path.suffix}'; allowed: .png")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SimtrainError(f"{path}: cannot be written: {system_reason(error)}") from None
    if path.is_dir():
        raise SimtrainError(f"{path}: is a folder; expected a file name that ends in .png")


def neighbour_strip(path: Path, queries: Sequence[QueryStrip]) -> None:
    """Draw one row per query, the query at the left, then its neighbours; written whole or not at all.

    Args:
        path: A .png file in an existing folder.
        queries: Q >= 1 rows.

    Raises:
        SimtrainError: if the path has another suffix or its folder does not exist, or it cannot be written.
        ValueError: no queries.
    """
    check_plot_path(path)
    if not queries:
        raise ValueError("queries is empty; allowed: 1 or more")
    figure = _figure(queries)
    with whole_file(path, error=SimtrainError) as temporary, warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")  # a caption's script that the font lacks
        figure.savefig(temporary, format="png", dpi=_PIXELS_PER_INCH)


def _figure(queries: Sequence[QueryStrip]) -> "Figure":
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # half a second that other commands need not wait
    from matplotlib.figure import Figure

    tiles = max(len(query.neighbours) for query in queries)
    width = 2 * _MARGIN_INCHES + _TILE_INCHES + (tiles > 0) * _QUERY_GAP_INCHES + tiles * (_TILE_INCHES + _GAP_INCHES)
    height = 2 * _MARGIN_INCHES + len(queries) * (_TILE_INCHES + _TEXT_INCHES + _GAP_INCHES) - _GAP_INCHES
    figure = Figure(figsize=(width, height), facecolor="white")
    FigureCanvasAgg(figure)
    for line, query in enumerate(queries):
        bottom = height - _MARGIN_INCHES - _TILE_INCHES - line * (_TILE_INCHES + _TEXT_INCHES + _GAP_INCHES)
        for column in range(1 + len(query.neighbours)):
            left = _MARGIN_INCHES + column * (_TILE_INCHES + _GAP_INCHES) + (column > 0) * _QUERY_GAP_INCHES
            axes = figure.add_axes((left / width, bottom / height, _TILE_INCHES / width, _TILE_INCHES / height))
            if column == 0:
                _draw(axes, query.image, frame=_INK, heading="query", caption=query.caption)
            else:
                tile = query.neighbours[column - 1]
                heading = f"{tile.similarity:.2f}{_MARKS[tile.relevant]}"
                _draw(axes, _read(tile.path), frame=_FRAMES[tile.relevant], heading=heading, caption=tile.caption)
    return figure


def _draw(axes: "Axes", image: NDArray[np.uint8] | None, *, frame: str, heading: str, caption: str | None) -> None:
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    if image is None:
        axes.set_facecolor(_PALE)
        axes.text(0.5, 0.5, "missing", ha="center", va="center", fontsize=9, color=_GREY)
    else:
        pixels = round(_TILE_INCHES * _PIXELS_PER_INCH)
        axes.imshow(_square(image, pixels=pixels), extent=(0, 1, 0, 1), interpolation="nearest", aspect="auto")
    for spine in axes.spines.values():
        spine.set_color(frame)
        spine.set_linewidth(2.0)
    below = -0.05
    axes.text(0, below, heading, ha="left", va="top", fontsize=9, fontweight="bold", color=_INK)
    if caption:
        lines = textwrap.wrap(caption, _CAPTION_WIDTH, max_lines=_CAPTION_LINES, placeholder="…")
        text = "\n".join(lines)
        axes.text(0, below - 0.11, text, ha="left", va="top", fontsize=8, color=_GREY, parse_math=False)


def _read(path: Path | None) -> NDArray[np.uint8] | None:
    if path is None:
        return None
    try:
        return read_image(path, at_least=round(_TILE_INCHES * _PIXELS_PER_INCH))
    except CatalogError:
        return None


def _square(image: NDArray[np.uint8], *, pixels: int) -> NDArray[np.uint8]:
    """The whole picture in the middle of a white square of exactly the tile's pixels."""
    height, width = image.shape[:2]
    scale = pixels / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = np.asarray(Image.fromarray(image).resize(size, Image.Resampling.LANCZOS))
    canvas = np.full((pixels, pixels, 3), 255, dtype=np.uint8)
    top, left = (pixels - size[1]) // 2, (pixels - size[0]) // 2
    canvas[top : top + size[1], left : left + size[0]] = small
    return canvas
